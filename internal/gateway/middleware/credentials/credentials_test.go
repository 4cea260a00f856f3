// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestGoodCredentialsAreRememberedForAMinute(t *testing.T) { // M7
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewCache()
		id := c.Identify("ann", "a")
		if c.Has(id) {
			t.Error("it knows what it has not seen")
		}
		c.Add(id)
		time.Sleep(rememberFor - time.Nanosecond)
		if !c.Has(id) || c.Has(c.Identify("ann", "b")) || c.Has(c.Identify("an", "na")) {
			t.Error("it does not know the credential, and no other")
		}
		time.Sleep(time.Nanosecond)
		if c.Has(id) {
			t.Error("it does not forget")
		}
	})
}

func TestTheCacheIsBounded(t *testing.T) { // M7
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewCache()
		for i := range 3 * remembered {
			c.Add(c.Identify("ann", strconv.Itoa(i)))
		}
		if c.Len() > remembered {
			t.Errorf("%d credentials are remembered", c.Len())
		}
		time.Sleep(2 * rememberFor)
		last := c.Identify("ann", "last")
		c.Add(last)
		if c.Len() != 1 || !c.Has(last) {
			t.Errorf("%d are kept beside the one that is new", c.Len()-1)
		}
	})
}

func TestTwoCachesHaveDifferentNamesForOneCredential(t *testing.T) { // M7
	t.Parallel()
	one, two := NewCache(), NewCache()
	if one.Identify("ann", "a") == two.Identify("ann", "a") {
		t.Error("the names can be computed elsewhere")
	}
}

func TestExactlyOneWholeCredentialIsRead(t *testing.T) { // M8, M15
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*http.Request)
		ok   bool
	}{
		"both":                      {func(r *http.Request) { r.SetBasicAuth("ann", "a:b") }, true},
		"no header":                 {func(*http.Request) {}, false},
		"two headers":               {func(r *http.Request) { r.SetBasicAuth("ann", "a"); r.Header.Add("Authorization", "x") }, false},
		"no name":                   {func(r *http.Request) { r.SetBasicAuth("", "a") }, false},
		"no password":               {func(r *http.Request) { r.SetBasicAuth("ann", "") }, false},
		"a name with a line break":  {func(r *http.Request) { r.SetBasicAuth("ann\nX-A: b", "a") }, false}, // P9
		"a name with a NUL":         {func(r *http.Request) { r.SetBasicAuth("ann\x00", "a") }, false},
		"another scheme":            {func(r *http.Request) { r.Header.Set("Authorization", "Bearer YW5uOmE=") }, false},
		"what is no base 64":        {func(r *http.Request) { r.Header.Set("Authorization", "Basic !!") }, false},
		"a name without a password": {func(r *http.Request) { r.Header.Set("Authorization", "Basic YW5u") }, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		c.edit(r)
		user, password, ok := Of(r)
		if ok != c.ok || ok && (user != "ann" || password != "a:b") || !ok && user+password != "" {
			t.Errorf("%s: %q, %q, %v", name, user, password, ok)
		}
	}
}

func FuzzOf(f *testing.F) { // M8, M15, P9
	for _, header := range []string{"Basic YW5uOmE6Yg==", "basic YW5uOmE=", "Basic", "Basic  YW5uOmE=", "Bearer YW5uOmE=", "Basic YW5uDQo6YQ==", "Basic Og==", "\x00"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = []string{header}
		name, password, ok := Of(r)
		switch {
		case !ok && name+password != "":
			t.Fatalf("%q gives %q and %q, and is refused", header, name, password)
		case ok && (name == "" || password == "" || strings.ContainsAny(name, ":\r\n\x00")):
			t.Fatalf("%q gives %q and %q", header, name, password)
		case ok:
			again := httptest.NewRequest(http.MethodGet, "/", nil)
			again.SetBasicAuth(name, password)
			if n, p, ok := Of(again); !ok || n != name || p != password {
				t.Fatalf("%q is read as %q and %q, which are read as %q and %q", header, name, password, n, p)
			}
		}
	})
}

func TestARealmIsQuoted(t *testing.T) { // P9
	t.Parallel()
	for realm, want := range map[string]string{"": `Basic realm="Restricted"`, `staff "only"`: `Basic realm="staff \"only\""`} {
		if got, err := Challenge(realm); err != nil || got != want {
			t.Errorf("%q: %s, %v", realm, got, err)
		}
	}
	if _, err := Challenge("a\r\nSet-Cookie: b"); err == nil {
		t.Error("a line break is sent")
	}
}
