// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"testing"
	"time"
)

// G3, H10: a body without a least rate, such as a call of gRPC, may pause as often as
// it likes, each time for the whole limit; one with a rate has to earn its pauses.
func TestPauses(t *testing.T) {
	t.Parallel()
	call, upload := Pace{Limit: time.Minute}, Pace{Limit: time.Minute, Rate: 100}
	for range 100 {
		call.Note(1, 59*time.Second)
		upload.Note(1, 59*time.Second)
	}
	if d := call.Next(); d != time.Minute {
		t.Errorf("a call has %v", d)
	}
	if d := upload.Next(); d > 0 {
		t.Errorf("an upload that trickles has %v", d)
	}
	upload.Note(1<<20, time.Second)
	if d := upload.Next(); d != time.Minute {
		t.Errorf("an upload that has moved on has %v", d)
	}
}
