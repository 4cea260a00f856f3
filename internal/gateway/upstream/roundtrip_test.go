// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// H10: over HTTP/2 net/http looks for a connection twice, first for one at all and then
// for one with a stream to spare. No time limit of the first look may outlive both, or
// it would cut a stream that is well.
func TestARequestThatHasItsConnectionWaitsForNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		w := &wait{limit: waitTimeout, head: waitTimeout, cancel: cancel}
		w.begin()
		w.begin()
		w.end()
		w.sent()
		w.over()
		time.Sleep(10 * waitTimeout)
		if ctx.Err() != nil {
			t.Errorf("cut: %v", context.Cause(ctx))
		}
	})
}
