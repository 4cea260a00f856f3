// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"math"
	"strings"
	"testing"
)

func TestCacheControlIsRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines   string // separated by |
		flags   flags
		maxAge  int64
		sMaxAge int64
	}{
		{"", 0, unset, unset},
		{"max-age=10", 0, 10, unset},
		{"MAX-AGE=10, S-MaxAge=\"20\"", 0, 10, 20},
		{"max-age=10,max-age=20", 0, 10, unset},
		{"max-age=10|s-maxage=3|max-age=1", 0, 10, 3},
		{"max-age=ten", 0, 0, unset},
		{"max-age=-1", 0, 0, unset},
		{"max-age=1.5", 0, 0, unset},
		{"max-age=+1", 0, 0, unset},
		{"max-age", 0, 0, unset},
		{"max-age=99999999999999999999", 0, math.MaxInt32, unset},
		{"no-store", noStore, unset, unset},
		{" , ,no-cache ,", noCache, unset, unset},
		{`private="a, max-age=5", public`, private | public, unset, unset},
		{`no-cache="set-cookie\", x", must-revalidate`, noCache | mustRevalidate, unset, unset},
		{`ext="no-store, max-age=3`, 0, unset, unset},
		{`"no-store", private`, private, unset, unset},
		{"no-storemax-age=1", 0, unset, unset},
		{"must-understand,proxy-revalidate,only-if-cached", mustUnderstand | proxyRevalidate | onlyIfCached, unset, unset},
		{strings.Repeat("x", 100) + ", no-store", noStore, unset, unset},
	} {
		d := parseDirectives(strings.Split(c.lines, "|"))
		if d.flags != c.flags || d.maxAge != c.maxAge || d.sMaxAge != c.sMaxAge {
			t.Errorf("%q: %b %d %d, want %b %d %d", c.lines, d.flags, d.maxAge, d.sMaxAge, c.flags, c.maxAge, c.sMaxAge)
		}
	}
	if d := parseDirectives([]string{"max-stale"}); d.maxStale != anyNumber {
		t.Errorf("max-stale alone is %d", d.maxStale)
	}
}

func FuzzCacheControl(f *testing.F) {
	for _, seed := range []string{"", "max-age=1", `private="a,b", s-maxage=3`, `"`, `a="\`, "max-age=\"", "no-store,,no-cache=", "stale-while-revalidate=9,stale-if-error=8,min-fresh=7,max-stale"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		d := parseDirectives([]string{first, second})
		for _, n := range []int64{d.maxAge, d.sMaxAge, d.minFresh, d.maxStale, d.staleWhileRevalidate, d.staleIfErrored} {
			if n < unset || n > math.MaxInt32 {
				t.Errorf("%d of %q, %q", n, first, second)
			}
		}
		// A prohibition at the end of what is well-formed is never missed.
		if !strings.ContainsAny(first+second, `"\`) && !parseDirectives([]string{first, second + ", no-store"}).has(noStore) {
			t.Errorf("no-store is missed after %q, %q", first, second)
		}
	})
}

func FuzzEntityTags(f *testing.F) {
	f.Add(`"a", W/"b"`, `"b"`)
	f.Add(`*`, `"b"`)
	f.Add(`"a`, `"a`)
	f.Fuzz(func(t *testing.T, list, tag string) {
		if matchesTag([]string{list}, tag) && !strings.Contains(list, "*") && (tag == "" || !strings.Contains(list, strings.TrimPrefix(tag, "W/"))) {
			t.Errorf("%q is found in %q", tag, list)
		}
	})
}
