// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package spelling

import (
	"net/http"
	"strings"
	"testing"
)

func TestEverySpellingIsDeletedAndNothingElse(t *testing.T) { // P8
	t.Parallel()
	long := "X-" + strings.Repeat("Long_", 40) + "Name"
	h := http.Header{
		"X-User-Id": {"1"}, "X_User_Id": {"1"}, "x-user_ID": {"1"}, "X_USER-ID": {"1"}, "X-User-Ids": {"kept"}, "Xuserid": {"kept"},
		strings.ToUpper(long): {"1"}, long + "s": {"kept"},
	}
	Of("x_user-id", long).Delete(h)
	if len(h) != 3 {
		t.Fatalf("left: %v", h)
	}
	for name, values := range h {
		if values[0] != "kept" {
			t.Errorf("%s is left", name)
		}
	}
}

func TestNoNamesIsNoHeader(t *testing.T) {
	t.Parallel()
	if Of().Has("") || Of().Has("X-A") || Names(nil).Has("X-A") {
		t.Error("an empty set has a name")
	}
}

func BenchmarkDelete(b *testing.B) {
	names := Of("X-Forwarded-User", "username")
	h := http.Header{"Accept": {"*/*"}, "User-Agent": {"x"}, "Accept-Encoding": {"gzip"}, "X-Request-Id": {"1"}, "Authorization": {"x"}}
	b.ReportAllocs()
	for b.Loop() {
		names.Delete(h)
	}
}
