// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package slapd

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// guard is an ldap middleware in front of a backend.
type guard struct {
	h    http.Handler
	mu   sync.Mutex
	hits int
}

// newGuard makes one with the settings, beside those that find the people.
func newGuard(t *testing.T, settings map[string]any) *guard {
	t.Helper()
	all := map[string]any{"baseDN": "ou=people," + base, "bindDN": reader, "bindPass": readerSecret, "connPool": map[string]any{"burst": 1000}}
	maps.Copy(all, settings)
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := middleware.Lookup("ldapAuth")
	rule, problems := kind.Parse(raw)
	if rule == nil {
		t.Fatal(problems)
	}
	g := &guard{}
	g.h, err = rule.Handler(middleware.Build{Name: "m", Route: middleware.RouteInfo{Path: "/"}, Pool: pool.New(), Track: t.Cleanup},
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.hits++
		}))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guard) login(name, password string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(name, password)
	w := httptest.NewRecorder()
	g.h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: "/", ClientIP: netip.MustParseAddr("192.0.2.1")})))
	return w.Code
}

func TestUsersOfARealDirectory(t *testing.T) { // M8
	t.Parallel()
	s := start(t)
	plain, encrypted := "ldap://"+s.plain, "ldaps://"+s.tls
	ways := map[string]map[string]any{
		"plain":                  {"url": plain},
		"StartTLS":               {"url": plain, "startTLS": true, "rootCAs": s.authority},
		"StartTLS, no check":     {"url": plain, "startTLS": true, "insecureSkipVerify": true},
		"ldaps":                  {"url": encrypted, "rootCAs": s.authority},
		"a filter of two parts":  {"url": plain, "userFilter": "(&(objectClass=inetOrgPerson)(uid=%s))"},
		"a filter with two uses": {"url": plain, "userFilter": "(|(uid=%s)(mail=%s@goma.test))"},
	}
	for name, settings := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, settings)
			for _, c := range []struct {
				user, password string
				want           int
			}{
				{"ann", "ann's password", 200},
				{"bob", "bob's password", 200},
				{"ann", "bob's password", 401},
				{"ann", "ann's passwor", 401},
				{"ann", "", 401},
				{"nobody", "ann's password", 401},
				{"*", "ann's password", 401},
				{"a*", "ann's password", 401},
				{"*)(uid=ann", "ann's password", 401},
				{"ann)(|(uid=*", "ann's password", 401},
				{`ann\29`, "ann's password", 401},
				{"uid=ann,ou=people," + base, "ann's password", 401},
			} {
				if got := g.login(c.user, c.password); got != c.want {
					t.Errorf("%q with %q: status %d, want %d", c.user, c.password, got, c.want)
				}
			}
			if g.hits != 2 {
				t.Errorf("the backend saw %d requests", g.hits)
			}
		})
	}
}

func TestWhatARealDirectoryCannotDecideIs503(t *testing.T) { // M8, M2
	t.Parallel()
	s := start(t)
	for name, settings := range map[string]map[string]any{
		"ldaps with an unknown authority":    {"url": "ldaps://" + s.tls},
		"StartTLS with an unknown authority": {"url": "ldap://" + s.plain, "startTLS": true},
		"ldaps where plain text is spoken":   {"url": "ldaps://" + s.plain, "rootCAs": s.authority},
		"plain text where ldaps is spoken":   {"url": "ldap://" + s.tls},
		"a wrong bindPass":                   {"url": "ldap://" + s.plain, "bindPass": "wrong"},
		"a base that does not exist":         {"url": "ldap://" + s.plain, "baseDN": "ou=nowhere," + base},
	} {
		g := newGuard(t, settings)
		if got := g.login("ann", "ann's password"); got != http.StatusServiceUnavailable || g.hits != 0 {
			t.Errorf("%s: status %d, and %d requests passed", name, got, g.hits)
		}
	}
}

func TestExactlyOneEntry(t *testing.T) { // M8
	t.Parallel()
	s := start(t)
	g := newGuard(t, map[string]any{"url": "ldap://" + s.plain, "userFilter": "(mail=%s)"})
	for _, password := range []string{"bob's password", "cid's password"} {
		if got := g.login("twins@goma.test", password); got != http.StatusUnauthorized {
			t.Errorf("status %d", got)
		}
	}
	if got := g.login("ann@goma.test", "ann's password"); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
}

func TestASearchThatNobodyMayMakeFindsNobody(t *testing.T) { // M8
	t.Parallel()
	s := start(t)
	// Anonymous clients see nothing in this directory: the base does not exist.
	g := newGuard(t, map[string]any{"url": "ldap://" + s.plain, "bindPass": ""})
	if got := g.login("ann", "ann's password"); got == http.StatusOK || g.hits != 0 {
		t.Errorf("status %d", got)
	}
}

func TestTheDirectoryRestarts(t *testing.T) { // M8
	t.Parallel()
	s := start(t)
	g := newGuard(t, map[string]any{"url": "ldap://" + s.plain})
	if got := g.login("ann", "ann's password"); got != http.StatusOK {
		t.Fatalf("status %d", got)
	}
	s.stop()
	if got := g.login("ann", "ann's password"); got != http.StatusOK {
		t.Errorf("what was good a moment ago, while it is away: status %d", got)
	}
	if got := g.login("bob", "bob's password"); got != http.StatusServiceUnavailable {
		t.Errorf("while it is away: status %d", got)
	}
	s.run()
	if got := g.login("bob", "bob's password"); got != http.StatusOK {
		t.Errorf("after it is back: status %d", got)
	}
}

func TestManyUsersAtOnce(t *testing.T) { // M8
	t.Parallel()
	s := start(t)
	g := newGuard(t, map[string]any{"url": "ldap://" + s.plain})
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			name := []string{"ann", "bob", "cid"}[i%3]
			if got := g.login(name, name+"'s password"); got != http.StatusOK {
				t.Errorf("%s: status %d", name, got)
			}
			if got := g.login(name, strings.Repeat("x", i+1)); got != http.StatusUnauthorized {
				t.Errorf("%s with a wrong password: status %d", name, got)
			}
		})
	}
	group.Wait()
}
