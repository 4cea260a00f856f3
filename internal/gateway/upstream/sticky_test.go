// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

func stickyRoute(c config.StickyCookie, weights map[string]int, names string) *config.Route {
	return balanced(config.LoadBalancing{Sticky: &config.Sticky{Cookie: c}}, weights, names)
}

// visit sends a client with its cookie, as a browser would keep it.
func visit(t *testing.T, c *Cluster, jar map[string]string, header ...string) string {
	t.Helper()
	for name, value := range jar {
		header = append(header, "Cookie", "other=1; "+name+"="+value)
	}
	q := Of(incoming("/", header...))
	e, err := c.Pick(q)
	if err != nil {
		t.Fatal(err)
	}
	if set := c.Cookie(q, e, false); set != "" {
		cookie, err := http.ParseSetCookie(set)
		if err != nil {
			t.Fatal(err)
		}
		jar[cookie.Name] = cookie.Value
	}
	return e.Host()[:1]
}

func TestAClientComesBackToItsEndpoint(t *testing.T) { // L4
	t.Parallel()
	g := registry(t, Settings{})
	c := acquire(t, g, stickyRoute(config.StickyCookie{}, nil, "abc"))
	jars := make([]map[string]string, 30)
	home := make([]string, len(jars))
	for i := range jars {
		jars[i] = map[string]string{}
		home[i] = visit(t, c, jars[i])
	}
	if got := count(home); got["a"] != 10 || got["b"] != 10 {
		t.Errorf("new clients are shared %v", got)
	}
	all := func(what string, c *Cluster, gone string) {
		t.Helper()
		for i := range jars {
			now := visit(t, c, jars[i])
			if now != home[i] && home[i] != gone || now == gone {
				t.Fatalf("%s: client %d went from %s to %s", what, i, home[i], now)
			}
			home[i] = now
		}
	}
	for range 3 {
		all("again", c, "")
	}
	// The word for an endpoint is the same in each gateway, and for each order.
	all("elsewhere", acquire(t, registry(t, Settings{}), stickyRoute(config.StickyCookie{}, nil, "dcba")), "")
	all("removed", acquire(t, g, stickyRoute(config.StickyCookie{}, nil, "ab")), "c")
	sick(c, "a")
	all("ill", c, "a")
	for _, e := range c.endpoints {
		e.probe = nil
	}
	all("back", c, "") // who has moved stays
	drained := acquire(t, g, stickyRoute(config.StickyCookie{}, map[string]int{"a": 1, "b": 0, "c": 0}, "abc"))
	all("drained", drained, "")
	if now := visit(t, drained, map[string]string{}); now != "a" {
		t.Errorf("a new client went to %s, which has no share", now)
	}
}

func TestACookieTellsNothingAndCannotBeForged(t *testing.T) {
	t.Parallel()
	c := acquire(t, registry(t, Settings{}), stickyRoute(config.StickyCookie{Name: "at"}, nil, "ab"))
	for _, e := range c.endpoints {
		if strings.Contains(e.cookie, e.Host()) || len(e.word) != 16 {
			t.Errorf("cookie is %s", e.cookie)
		}
	}
	for _, forged := range []string{"", "a:1", "http://a:1", strings.Repeat("0", 16), strings.Repeat("x", 5000)} {
		jar := map[string]string{"at": forged}
		visit(t, c, jar)
		if len(jar["at"]) != 16 || jar["at"] == forged {
			t.Errorf("%.20s was kept", forged)
		}
	}
}

func TestCookiesOfAStickyRoute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cookie        config.StickyCookie
		plain, secure string
	}{
		{config.StickyCookie{}, "goma_454349e422f05297=W; Path=/; HttpOnly; SameSite=Lax", "goma_454349e422f05297=W; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{
			config.StickyCookie{Name: "at", Path: "/shop", Domain: "example.com", MaxAge: 60, Secure: true, HTTPOnly: new(false), SameSite: "none"},
			"at=W; Path=/shop; Domain=example.com; Max-Age=60; Secure; SameSite=None", "at=W; Path=/shop; Domain=example.com; Max-Age=60; Secure; SameSite=None",
		},
		{config.StickyCookie{Name: "at", SameSite: "Strict"}, "at=W; Path=/; HttpOnly; SameSite=Strict", "at=W; Path=/; HttpOnly; Secure; SameSite=Strict"},
	} {
		cluster := acquire(t, registry(t, Settings{}), stickyRoute(c.cookie, nil, "ab"))
		e := cluster.endpoints[0]
		for secure, want := range map[bool]string{false: c.plain, true: c.secure} {
			if got := strings.Replace(cluster.Cookie(Of(incoming("/")), e, secure), e.word, "W", 1); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	}
	plain := acquire(t, registry(t, Settings{}), balanced(config.LoadBalancing{}, nil, "ab"))
	if got := plain.Cookie(Of(incoming("/")), plain.endpoints[0], true); got != "" {
		t.Errorf("a route that is not sticky sets %s", got)
	}
}

func TestAnExclusiveCanaryLeavesTheCookieAlone(t *testing.T) {
	t.Parallel()
	r := to(backend("a", 0), backend("b", 0), canary("c", 0, true, 0))
	r.LoadBalancing = &config.LoadBalancing{Sticky: &config.Sticky{}}
	c := acquire(t, registry(t, Settings{}), r)
	jar := map[string]string{}
	home := visit(t, c, jar)
	if visit(t, c, jar, "X-Beta", "yes") != "c" || visit(t, c, jar) != home {
		t.Error("a client lost its endpoint to a canary")
	}
}

func TestTheFirstCookieOfANameCounts(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"a=1": "1", "b=2; a=1; a=3": "1", "b=2;a=1": "1", `a="1"`: "1", "a=": "", "aa=1": "", "": "", ";;=;a": "", "b=a=1": "",
		"a=x=y": "x=y", " a=1 ": "1",
	} {
		if got := Of(incoming("/", "Cookie", line)).Cookie("a"); got != want {
			t.Errorf("%q has %q, want %q", line, got, want)
		}
	}
}
