// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package scope

import "testing"

func TestAnEntryCoversWholeSegments(t *testing.T) { // M1, M3, R1
	t.Parallel()
	for _, c := range []struct {
		name, entry, route, path string
		want                     bool
	}{
		{"itself", "/admin", "/", "/admin", true},
		{"what is below it", "/admin", "/", "/admin/users", true},
		{"not a longer word", "/admin", "/", "/administrator", false},
		{"in any case", "/docs", "/", "/DOCS/x", true},
		{"with a star, what is below", "/admin/*", "/", "/admin/x", true},
		{"with a star, not a longer word", "/admin/*", "/", "/administrator", false},
		{"without the path of the route", "/admin", "/app", "/app/admin/x", true},
		{"with the path of the route", "/app/admin", "/app", "/app/admin", true},
		{"not elsewhere", "/admin", "/app", "/app/public", false},
		{"everything, as a star", "/*", "/app", "/app/x", true},
		{"everything, as a regular expression", "/.*", "/app", "/other", true},
		{"everything, as a slash", "/", "/", "/x", true},
		{"a regular expression, whole", "^/x/(.*)$", "/", "/x/y", true},
		{"a regular expression is anchored", "/x/[0-9]+", "/", "/x/12/y", false},
		{"a trailing slash is the same entry", "/admin/", "/", "/admin", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := Compile([]string{c.entry}, c.route)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.CoversPath(c.path); got != c.want {
				t.Fatalf("%q on route %q covers %q: %v", c.entry, c.route, c.path, got)
			}
		})
	}
}

func TestNoPathsIsTheWholeRoute(t *testing.T) { // M1
	t.Parallel()
	s, err := Compile(nil, "/app")
	if err != nil || !s.CoversPath("/anything") {
		t.Fatalf("got %v, %v", s, err)
	}
}

func TestABrokenExpressionIsAnError(t *testing.T) { // M3
	t.Parallel()
	if _, err := Compile([]string{"/ok", "/x("}, "/"); err == nil || err.Error()[:9] != "paths[1]:" {
		t.Fatalf("got %v", err)
	}
}
