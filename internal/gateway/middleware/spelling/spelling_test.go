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
	Of("x_user-id", long).Delete(&http.Request{Header: h})
	if len(h) != 3 {
		t.Fatalf("left: %v", h)
	}
	for name, values := range h {
		if values[0] != "kept" {
			t.Errorf("%s is left", name)
		}
	}
}

// What is not announced is no trailer, so what is deleted there does not come back.
func TestATrailerIsNotAnnouncedAnyMore(t *testing.T) { // P8
	t.Parallel()
	r := &http.Request{Trailer: http.Header{"X_user_id": nil, "X-User-Id": {"1"}, "X-Sum": nil}}
	Of("X-User-Id").Delete(r)
	if _, kept := r.Trailer["X-Sum"]; !kept || len(r.Trailer) != 1 {
		t.Errorf("left: %v", r.Trailer)
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
	r := &http.Request{Header: h}
	b.ReportAllocs()
	for b.Loop() {
		names.Delete(r)
	}
}
