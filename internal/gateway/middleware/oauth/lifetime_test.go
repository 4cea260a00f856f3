// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// holding gives a browser with a session that was sealed by the site.
func (s *site) holding(session state) *browser {
	s.t.Helper()
	h := (*s.h.Load()).(*handler)
	lines, err := h.keep(h.cookie, nil, &session)
	if err != nil {
		s.t.Fatal(err)
	}
	b := s.browser()
	b.keep(s.URL, lines)
	return b
}

func (b *browser) keep(address string, lines []string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, line := range lines {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			b.t.Fatal(err)
		}
		b.Jar.SetCookies(r.URL, []*http.Cookie{c})
	}
}

// at is a session whose tokens are good from and to so many seconds from now.
func at(i *issuer, from, to, until int64) state {
	now := time.Now().Unix()
	i.set(func() { i.refreshes["refresh"] = true })
	return state{ID: "id", Subject: "ann", Refresh: "refresh", Issued: now + from, Expires: now + to, Until: now + until}
}

func TestTokensThatExpireAreRefreshed(t *testing.T) { // M14
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	for name, session := range map[string][3]int64{"expired": {-100, -1, 1000}, "about to expire": {-100, 10, 1000}} {
		before := i.refreshed
		b := s.holding(at(i, session[0], session[1], session[2]))
		first := b.get(s.URL + "/")
		if first.StatusCode != 200 || sessionCookie(first) == nil || i.refreshed != before+1 {
			t.Errorf("%s: status %d, %d refreshed", name, first.StatusCode, i.refreshed-before)
		}
		if second := b.get(s.URL + "/"); second.StatusCode != 200 || sessionCookie(second) != nil || i.refreshed != before+1 {
			t.Errorf("%s, then: status %d", name, second.StatusCode)
		}
		s.use(openID(i)) // forget what was refreshed
	}
}

func TestAPageWithManyPartsRefreshesOnce(t *testing.T) { // M14
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	old := at(i, -100, -1, 1000)
	var group sync.WaitGroup
	var failed atomic.Int32
	for range 30 {
		b := s.holding(old) // each still has the old cookie
		group.Go(func() {
			if b.get(s.URL+"/").StatusCode != 200 {
				failed.Add(1)
			}
		})
	}
	group.Wait()
	if failed.Load() != 0 || i.refreshed != 1 {
		t.Errorf("%d failed, %d refreshed", failed.Load(), i.refreshed)
	}
	if late := s.holding(old).get(s.URL + "/"); late.StatusCode != 200 || sessionCookie(late) == nil || i.refreshed != 1 {
		t.Errorf("one that comes later: status %d, %d refreshed", late.StatusCode, i.refreshed)
	}
}

func TestASessionLivesOnWhileTheProviderIsAway(t *testing.T) { // M14
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	s.browser().visit(s.URL + "/") // the issuer is known now
	hits := s.hits()
	fresh, early, stale := at(i, -10, 1000, 2000), at(i, -100, 10, 2000), at(i, -100, -1, 2000)
	early.Refresh = "another"
	i.set(func() { i.down = true })
	if resp := s.holding(fresh).get(s.URL + "/"); resp.StatusCode != 200 {
		t.Errorf("a session that is good: status %d", resp.StatusCode)
	}
	if resp := s.holding(early).get(s.URL + "/"); resp.StatusCode != 200 || sessionCookie(resp) != nil {
		t.Errorf("one that is good for a while: status %d", resp.StatusCode)
	}
	if resp := s.holding(stale).get(s.URL + "/"); resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("one that has expired: status %d", resp.StatusCode)
	}
	if resp := s.holding(stale).get(s.URL+"/", saying("Accept", "application/json")); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("one that has expired, of a program: status %d", resp.StatusCode)
	}
	if s.hits() != hits+2 { // M4
		t.Errorf("the backend saw %d requests", s.hits()-hits)
	}
}

func TestARefusedRefreshIsALogin(t *testing.T) { // M14
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	for name, c := range map[string]struct {
		session state
		change  func()
	}{
		"a token that is over":        {at(i, -100, -1, 1000), func() { clear(i.refreshes) }},
		"a token that is over, early": {at(i, -100, 10, 1000), func() { clear(i.refreshes) }},
		"another user":                {at(i, -100, -1, 1000), func() { i.refreshes["refresh"], i.claims = true, map[string]any{"sub": "bob"} }},
		"a token of another client":   {at(i, -100, -1, 1000), func() { i.refreshes["refresh"], i.claims = true, map[string]any{"aud": "other"} }},
		"no refresh token":            {state{ID: "id", Expires: 1, Until: time.Now().Unix() + 1000}, func() {}},
		"a session that has ended":    {at(i, -100, 100, -1), func() {}},
		"one without an id":           {state{Expires: time.Now().Unix() + 100, Until: time.Now().Unix() + 1000}, func() {}},
	} {
		s.use(openID(i))
		i.set(c.change)
		if resp := s.holding(c.session).get(s.URL + "/"); resp.StatusCode != http.StatusTemporaryRedirect || s.hits() != 0 {
			t.Errorf("%s: status %d, %d hits", name, resp.StatusCode, s.hits())
		}
	}
}

func TestASessionWithoutAClaimThatIsWantedNowIsALogin(t *testing.T) { // P8
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	b := s.browser()
	b.visit(s.URL + "/")
	s.use(map[string]any{"issuer": i.URL, "forwardHeaders": map[string]string{"X-User": "sub"}})
	if resp := b.get(s.URL + "/"); resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("status %d", resp.StatusCode)
	}
	if resp := b.visit(s.URL + "/"); resp.StatusCode != 200 || s.last().Header.Get("X-User") != "ann" {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestAnIssuerThatIsAwayAtTheStartIs503UntilItIsBack(t *testing.T) { // M2
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	i.down = true
	s.use(openID(i)) // and starts at once
	resp := s.browser().get(s.URL + "/")
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || s.hits() != 0 {
		t.Errorf("status %d", resp.StatusCode)
	}
	i.set(func() { i.down = false })
	p := (*s.h.Load()).(*handler).provider
	if _, err := p.metadata(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("it is asked again at once: %v", err)
	}
	p.mu.Lock()
	p.failed = time.Now().Add(-askAgain)
	p.mu.Unlock()
	if resp := s.browser().visit(s.URL + "/"); resp.StatusCode != 200 {
		t.Errorf("it is back: status %d", resp.StatusCode)
	}
}

func TestLogoutEndsTheSessionEverywhere(t *testing.T) {
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(map[string]any{"issuer": i.URL, "logoutPath": "/logout", "logoutRedirect": "/bye"})
	session := at(i, -10, 1000, 2000)
	b, thief := s.holding(session), s.holding(session)
	resp := b.get(s.URL + "/logout")
	to, err := resp.Location()
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	if to.Path != "/bye" || to.Host != strings.TrimPrefix(i.URL, "http://") || to.Query().Get("client_id") != testClient || to.Query().Get("post_logout_redirect_uri") != s.URL+"/bye" {
		t.Errorf("the browser goes to %s", to)
	}
	if len(resp.Cookies()) != 1 || resp.Cookies()[0].MaxAge >= 0 {
		t.Errorf("cookies %v", resp.Cookies())
	}
	if !slices.Equal(i.revoked, []string{"refresh"}) {
		t.Errorf("revoked: %v", i.revoked)
	}
	for name, who := range map[string]*browser{"who left": b, "who kept the cookie": thief} {
		if resp := who.get(s.URL + "/"); resp.StatusCode != http.StatusTemporaryRedirect {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
	}
	if resp := b.get(s.URL+"/logout", func(r *http.Request) { r.Method = http.MethodDelete }); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: status %d", resp.StatusCode)
	}
	if s.hits() != 0 {
		t.Errorf("the backend saw %d requests", s.hits())
	}
}

func TestLogoutWorksWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	i.down = true
	s.use(map[string]any{"issuer": i.URL, "logoutPath": "/logout"})
	resp := s.holding(at(i, -10, 1000, 2000)).get(s.URL + "/logout")
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" || len(resp.Cookies()) != 1 {
		t.Errorf("status %d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
}

func TestWhatCameOfARefreshIsRememberedForAWhile(t *testing.T) { // M14
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls int
		var fail error
		f := &refresher{refresh: func(context.Context, *state) (*state, error) {
			calls++
			return &state{ID: "new"}, fail
		}}
		ask := func(token string) error {
			_, err := f.renewed(t.Context(), &state{Refresh: token})
			return err
		}
		for _, c := range []struct {
			name  string
			err   error
			lasts time.Duration
		}{{"good", nil, rememberFor}, {"refused", errRefused, rememberFor}, {"away", errors.New("away"), tryAgain}} {
			fail, calls = c.err, 0
			for range 3 {
				if err := ask(c.name); !errors.Is(err, c.err) {
					t.Errorf("%s: %v", c.name, err)
				}
			}
			time.Sleep(c.lasts)
			_ = ask(c.name)
			if calls != 2 {
				t.Errorf("%s: %d calls", c.name, calls)
			}
		}
		for range 2*mostRecent + 1 {
			_ = ask(time.Now().String())
			time.Sleep(time.Nanosecond)
		}
		if len(f.recent) > mostRecent {
			t.Errorf("%d are remembered", len(f.recent))
		}
	})
}

func FuzzClaims(f *testing.F) { // P9, C10
	f.Add(`{"a":{"b":[1,true,"x\r\ny",null,{"c":1e400}]}}`, "a.b")
	f.Fuzz(func(t *testing.T, document, path string) {
		c, err := decodeClaims([]byte(document))
		if err != nil {
			return
		}
		if text := c.text(path); strings.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("%q", text)
		}
	})
}

func FuzzLoginState(f *testing.F) { // C10
	f.Add(`{"s":"a","e":1}`)
	f.Fuzz(func(_ *testing.T, text string) {
		var l login
		var s state
		_, _ = json.Unmarshal([]byte(text), &l), json.Unmarshal([]byte(text), &s)
		now := time.Now()
		_, _ = s.early(now), s.stale(now)
	})
}
