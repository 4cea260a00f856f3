// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package openid

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

func TestALoginOverReplicasWithoutStickiness(t *testing.T) { // M9, M11
	t.Parallel()
	s := newSite(t)
	p := newProvider(t, s.callback())
	s.use(3, map[string]any{"issuer": p.URL})
	b := s.browser()
	if resp := b.visit(s.URL + "/shop?id=1"); resp.StatusCode != http.StatusOK || resp.Request.URL.RequestURI() != "/shop?id=1" || b.forms != 1 {
		t.Fatalf("status %d at %s after %d forms", resp.StatusCode, resp.Request.URL, b.forms)
	}
	for range 6 {
		if resp := b.visit(s.URL + "/"); resp.StatusCode != http.StatusOK || b.forms != 1 {
			t.Fatalf("status %d after %d forms", resp.StatusCode, b.forms)
		}
	}
	if h := s.last(); h.Get("X-User") != "id1" || h.Get("X-Email") != "test-user@zitadel.ch" || h.Get("Cookie") != "" { // P8
		t.Errorf("the backend sees %v", h)
	}
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(at) {
		if !strings.HasPrefix(c.Name, "__Host-goma_oauth_") {
			t.Errorf("cookie %s", c.Name)
		}
	}
}

func TestTokensThatExpireAreRefreshedOnce(t *testing.T) { // M14
	t.Parallel()
	s := newSite(t)
	p := newProvider(t, s.callback())
	s.use(1, map[string]any{"issuer": p.URL})
	p.expired.Store(true)
	b := s.browser()
	b.login(s.URL + "/")
	p.expired.Store(false)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if resp := b.do(http.MethodGet, s.URL+"/", nil); resp.StatusCode != http.StatusOK {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	group.Wait()
	if got := p.count("refresh_token"); got != 1 || b.forms != 1 {
		t.Errorf("%d refreshes, %d forms", got, b.forms)
	}
	if resp := b.do(http.MethodGet, s.URL+"/", nil); resp.StatusCode != http.StatusOK || s.last().Get("X-User") != "id1" {
		t.Errorf("status %d, %v", resp.StatusCode, s.last())
	}
}

func TestAProviderThatForgotUsersAsksThemAgain(t *testing.T) { // M14
	t.Parallel()
	s := newSite(t)
	p := newProvider(t, s.callback())
	s.use(2, map[string]any{"issuer": p.URL})
	p.expired.Store(true)
	b := s.browser()
	b.login(s.URL + "/")
	p.expired.Store(false)
	p.restart(s.callback()) // with other keys, and without its tokens
	if resp := b.visit(s.URL + "/"); resp.StatusCode != http.StatusOK || b.forms != 2 {
		t.Errorf("status %d after %d forms", resp.StatusCode, b.forms)
	}
}

func TestTheClientSecretMustBeRight(t *testing.T) { // M10
	t.Parallel()
	s := newSite(t)
	p := newProvider(t, s.callback())
	s.use(1, map[string]any{"issuer": p.URL, "clientSecret": "wrong"})
	if resp := s.browser().visit(s.URL + "/"); resp.StatusCode != http.StatusInternalServerError || s.last() != nil {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestTheIssuerMustBeTheOneOfTheRule(t *testing.T) { // M10
	t.Parallel()
	s := newSite(t)
	p := newProvider(t, s.callback())
	s.use(1, map[string]any{"issuer": strings.Replace(p.URL, "127.0.0.1", "localhost", 1)})
	if resp := s.browser().visit(s.URL + "/"); resp.StatusCode != http.StatusServiceUnavailable || s.last() != nil {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestLogoutEndsAtTheProvider(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := newProvider(t, s.callback())
	s.use(1, map[string]any{"issuer": p.URL, "logoutPath": "/logout"})
	b := s.browser()
	b.visit(s.URL + "/")
	if resp := b.visit(s.URL + "/logout"); resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/logged-out" {
		t.Errorf("status %d at %s", resp.StatusCode, resp.Request.URL)
	}
	if resp := b.do(http.MethodGet, s.URL+"/", nil); resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("after that: status %d", resp.StatusCode)
	}
}

func TestEndpointsByHandWorkAsThoseOfTheIssuer(t *testing.T) { // M10
	t.Parallel()
	s := newSite(t)
	p := newProvider(t, s.callback())
	endpoint := map[string]any{"authUrl": p.URL + "/auth", "tokenUrl": p.URL + "/oauth/token", "userInfoUrl": p.URL + "/userinfo", "jwksUrl": p.URL + "/keys"}
	s.use(2, map[string]any{"endpoint": endpoint})
	if resp := s.browser().visit(s.URL + "/"); resp.StatusCode != http.StatusOK || s.last().Get("X-Email") != "test-user@zitadel.ch" {
		t.Errorf("status %d, %v", resp.StatusCode, s.last())
	}
}
