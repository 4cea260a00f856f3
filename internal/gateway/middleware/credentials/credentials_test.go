// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"net/http"
	"net/http/httptest"
	"strconv"
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
