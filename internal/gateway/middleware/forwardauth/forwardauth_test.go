// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package forwardauth

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// guard is a rule in front of a backend that remembers what reached it.
type guard struct {
	t    *testing.T
	h    http.Handler
	pool *pool.Pool
	seen []*http.Request
}

func newGuard(t *testing.T, rule map[string]any, paths ...string) *guard {
	t.Helper()
	raw, err := json.Marshal(rule)
	if err != nil {
		t.Fatal(err)
	}
	parsed, problems := parse(raw)
	if parsed == nil {
		t.Fatal(problems)
	}
	g := &guard{t: t, pool: pool.New()}
	backend := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.seen = append(g.seen, r)
		w.Header()["Set-Cookie"] = []string{"backend=1"} // as the proxy does
		_, _ = io.WriteString(w, "served")
	})
	g.h, err = parsed.Handler(definition.Build{Name: "m", Paths: paths, Route: definition.RouteInfo{Path: "/"}, Pool: g.pool, Track: t.Cleanup}, backend)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guard) send(method, target string, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if edit != nil {
		edit(r)
	}
	x := &exchange.Exchange{ClientIP: netip.MustParseAddr("192.0.2.1"), Scheme: "https", Host: "shop.test", Path: r.URL.Path}
	w := httptest.NewRecorder()
	g.h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	return w
}

// service is an authentication service that gives one answer.
func service(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s
}

func says(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="x"`)
		w.WriteHeader(status)
	}
}

func TestOnlyAnAnswer2xxPasses(t *testing.T) { // M18
	t.Parallel()
	for status, want := range map[int]int{
		200: 200, 201: 200, 202: 200, 204: 200, 299: 200, 400: 401, 401: 401, 403: 403, 404: 401, 418: 401, 500: 500, 502: 500, 503: 500,
	} {
		g := newGuard(t, map[string]any{"authUrl": service(t, says(status)).URL})
		w := g.send(http.MethodGet, "/a", nil)
		if w.Code != want || (len(g.seen) == 1) != (want == 200) {
			t.Errorf("%d gives %d, and the backend sees %d requests", status, w.Code, len(g.seen))
		}
		if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (status == 401 || status == 403) {
			t.Errorf("%d relays the challenge %q", status, challenge)
		}
	}
}

func TestARedirectOfTheServiceIsNeverFollowed(t *testing.T) { // M18
	t.Parallel()
	var visits atomic.Int32
	var s *httptest.Server
	s = service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			visits.Add(1)
			return // 200, a page for people
		}
		http.Redirect(w, r, s.URL+"/login", http.StatusFound)
	})
	g := newGuard(t, map[string]any{"authUrl": s.URL})
	if w := g.send(http.MethodGet, "/a", nil); w.Code != http.StatusUnauthorized || len(g.seen) != 0 || visits.Load() != 0 {
		t.Errorf("status %d, %d requests passed, %d visits of the login page", w.Code, len(g.seen), visits.Load())
	}
}

func TestAnAnswerThatDoesNotCountDenies(t *testing.T) { // M18, M4
	t.Parallel()
	raw := func(text string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, text)
				_ = c.Close()
			}
		}()
		return "http://" + l.Addr().String()
	}
	for name, url := range map[string]string{
		"nobody listens":             "http://127.0.0.1:1",
		"no HTTP":                    raw("SSH-2.0-x\r\n"),
		"a broken status":            raw("HTTP/1.1 2000 OK\r\n\r\n"),
		"a head that breaks off":     raw("HTTP/1.1 200 OK\r\nX-User: a"),
		"a body that breaks off":     raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"),
		"two lengths":                raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
		"a head that is too long":    raw("HTTP/1.1 200 OK\r\nX-User: " + strings.Repeat("a", 200_000) + "\r\nContent-Length: 0\r\n\r\n"),
		"a body that is too long":    raw("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("a", peer.MaxBodyBytes+1)),
		"a header with a NUL inside": raw("HTTP/1.1 200 OK\r\nX-User: a\x00b\r\nContent-Length: 0\r\n\r\n"),
		"a switch of protocols":      raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
		"no answer in time":          service(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }).URL,
	} {
		timeout := "10s"
		if name == "no answer in time" {
			timeout = "1ms"
		}
		g := newGuard(t, map[string]any{"authUrl": url, "timeout": timeout, "authResponseHeaders": []string{"X-User"}})
		if w := g.send(http.MethodGet, "/a", nil); w.Code != http.StatusInternalServerError || len(g.seen) != 0 || w.Body.Len() == 0 {
			t.Errorf("%s: status %d, the backend saw %d requests", name, w.Code, len(g.seen))
		}
	}
}

func TestTheQuestionIsMadeByUs(t *testing.T) { // M19
	t.Parallel()
	var got *http.Request
	var body []byte
	s := service(t, func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	})
	g := newGuard(t, map[string]any{"authUrl": s.URL + "/verify?app=1", "authRequestHeaders": []string{"x-tenant", "Accept"}})
	g.send(http.MethodPost, "/cart/x?id=1&b=%20", func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("secret body")), 11
		for name, value := range map[string]string{
			"Authorization": "Bearer abc", "Cookie": "sid=1", "User-Agent": "browser", "X-Tenant": "blue", "Accept": "text/html",
			"Connection": "upgrade", "Upgrade": "websocket", "Content-Length": "11", "Transfer-Encoding": "chunked", "Expect": "100-continue",
			"Content-Type": "text/plain", "X-Forwarded-For": "6.6.6.6", "X-Forwarded-User": "root", "X-Forwarded-Method": "GET",
			"X-Original-Url": "https://evil.test/", "X-Http-Method-Override": "GET", "X_Tenant": "red",
		} {
			r.Header[name] = []string{value}
		}
		r.Header.Add("Cookie", "lang=de")
	})
	if got == nil {
		t.Fatal("the service was not asked")
	}
	const url = "https://shop.test/cart/x?id=1&b=%20"
	want := http.Header{
		"Authorization": {"Bearer abc"}, "Cookie": {"sid=1; lang=de"}, "User-Agent": {"browser"}, "X-Tenant": {"blue"}, "Accept": {"text/html"},
		"X-Forwarded-Method": {"POST"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"shop.test"}, "X-Forwarded-Uri": {url},
		"X-Original-Url": {url}, "X-Forwarded-For": {"192.0.2.1"}, "X-Real-Ip": {"192.0.2.1"}, "Accept-Encoding": {"gzip"},
	}
	for name := range got.Header {
		if !slices.Equal(got.Header[name], want[name]) {
			t.Errorf("%s is %q, want %q", name, got.Header[name], want[name])
		}
		delete(want, name)
	}
	if len(want) != 0 {
		t.Errorf("missing: %v", want)
	}
	if got.Method != http.MethodGet || got.RequestURI != "/verify?app=1" || got.Host == "shop.test" || len(body) != 0 || got.ContentLength != 0 {
		t.Errorf("%s %s of %s with %q", got.Method, got.RequestURI, got.Host, body)
	}
}

func TestTheHostOfTheRequestIsSentWhenAskedFor(t *testing.T) { // M19
	t.Parallel()
	for _, key := range []string{"forwardHostHeaders", "enableHostForwarding"} {
		var host atomic.Value
		s := service(t, func(_ http.ResponseWriter, r *http.Request) { host.Store(r.Host) })
		newGuard(t, map[string]any{"authUrl": s.URL, key: true}).send(http.MethodGet, "/", nil)
		if host.Load() != "shop.test" {
			t.Errorf("%s: host %v", key, host.Load())
		}
	}
}

func TestTheBackendLearnsTheClientFromTheAnswerOnly(t *testing.T) { // P8, M19
	t.Parallel()
	s := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			w.Header().Set("X-Auth-User", "ann")
			w.Header().Add("X-Auth-Groups", "a")
			w.Header().Add("X-Auth-Groups", "b")
		}
	})
	rule := map[string]any{"authUrl": s.URL, "authResponseHeaders": []string{"X-Auth-User", "X-Auth-Groups: X-Groups"}}
	spoof := func(r *http.Request) {
		for _, name := range []string{"X-Auth-User", "X_Auth_User", "x-auth-user", "X-Auth_user", "X-Groups", "X_GROUPS"} {
			r.Header[name] = []string{"root"}
		}
	}
	g := newGuard(t, rule)
	g.send(http.MethodGet, "/", func(r *http.Request) { spoof(r); r.Header.Set("Authorization", "x") })
	g.send(http.MethodGet, "/", spoof)
	some := newGuard(t, rule, "/admin")
	some.send(http.MethodGet, "/public", spoof)
	for i, r := range append(g.seen, some.seen...) {
		for name, values := range r.Header {
			if slices.Contains(values, "root") {
				t.Errorf("request %d: %s: root arrived", i, name)
			}
		}
		if i > 0 && len(r.Header["X-Auth-User"]) != 0 {
			t.Errorf("request %d: a name without an answer", i)
		}
	}
	if h := g.seen[0].Header; h.Get("X-Auth-User") != "ann" || !slices.Equal(h["X-Groups"], []string{"a", "b"}) {
		t.Errorf("headers %v", h)
	}
}

func TestTheAnswerBecomesParametersInPlaceOfTheClients(t *testing.T) { // P8
	t.Parallel()
	s := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			w.Header().Set("X-Auth-User", "ann & co")
		}
	})
	g := newGuard(t, map[string]any{"authUrl": s.URL, "authResponseHeadersAsParams": []string{"X-Auth-User: user"}})
	g.send(http.MethodGet, "/?user=root&q=%2F&u%73er=root&a=1;user=root&users=1", func(r *http.Request) { r.Header.Set("Authorization", "x") })
	g.send(http.MethodGet, "/?user=root", nil)
	if got := g.seen[0].URL.RawQuery; got != "q=%2F&users=1&user=ann+%26+co" {
		t.Errorf("query %q", got)
	}
	if got := g.seen[1].URL.RawQuery; got != "" {
		t.Errorf("query %q", got)
	}
}

func TestOnlyTheListedCookiesReachTheClient(t *testing.T) { // M19
	t.Parallel()
	s := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Set-Cookie"] = []string{"sid=1; Path=/", "csrf=2", "sidx=3"}
		if r.Header.Get("X-Forwarded-Method") == http.MethodPost {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	for _, c := range []struct {
		name string
		list any
		want []string
	}{
		{"no list is all", nil, []string{"sid=1; Path=/", "csrf=2", "sidx=3"}},
		{"a list is the list", []string{"sid"}, []string{"sid=1; Path=/"}},
		{"an empty list is none", []string{}, nil},
	} {
		g := newGuard(t, map[string]any{"authUrl": s.URL, "addAuthCookiesToResponse": c.list})
		if got := g.send(http.MethodGet, "/", nil).Header()["Set-Cookie"]; !slices.Equal(got, append([]string{"backend=1"}, c.want...)) {
			t.Errorf("%s: %q", c.name, got)
		}
		if got := g.send(http.MethodPost, "/", nil).Header()["Set-Cookie"]; !slices.Equal(got, c.want) {
			t.Errorf("%s, denied: %q", c.name, got)
		}
	}
}

func TestWhoIsNotSignedInIsSentToTheSignInPage(t *testing.T) {
	t.Parallel()
	s := service(t, says(http.StatusUnauthorized))
	for signIn, want := range map[string]string{
		"https://auth.test/login":     "https://auth.test/login",
		"https://auth.test/login?rd=": "https://auth.test/login?rd=https%3A%2F%2Fshop.test%2Fa%3Fb%3D1%26c%3D2",
		"/login?rd=":                  "/login?rd=https%3A%2F%2Fshop.test%2Fa%3Fb%3D1%26c%3D2",
	} {
		g := newGuard(t, map[string]any{"authUrl": s.URL, "authSignIn": signIn})
		if w := g.send(http.MethodGet, "/a?b=1&c=2", nil); w.Code != http.StatusFound || w.Header().Get("Location") != want || len(g.seen) != 0 {
			t.Errorf("%s: status %d to %s", signIn, w.Code, w.Header().Get("Location"))
		}
	}
	g := newGuard(t, map[string]any{"authUrl": service(t, says(http.StatusForbidden)).URL, "authSignIn": "/login"})
	if w := g.send(http.MethodGet, "/", nil); w.Code != http.StatusForbidden {
		t.Errorf("403 becomes %d", w.Code)
	}
}

func TestTwoAuthorizationLinesAreRefusedUnasked(t *testing.T) { // M15
	t.Parallel()
	var asked atomic.Int32
	g := newGuard(t, map[string]any{"authUrl": service(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }).URL})
	w := g.send(http.MethodGet, "/", func(r *http.Request) { r.Header["Authorization"] = []string{"a", "b"} })
	if w.Code != http.StatusUnauthorized || len(g.seen) != 0 || asked.Load() != 0 {
		t.Errorf("status %d, asked %d times", w.Code, asked.Load())
	}
}

func TestConnectionsAreKept(t *testing.T) { // M19
	t.Parallel()
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a body nobody needs") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	g := newGuard(t, map[string]any{"authUrl": s.URL})
	for range 20 {
		if w := g.send(http.MethodGet, "/", nil); w.Code != http.StatusOK {
			t.Fatalf("status %d", w.Code)
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("%d connections for 20 requests", got)
	}
	if g.pool.Len() != 1 {
		t.Errorf("%d shared clients", g.pool.Len())
	}
}

func TestTheCertificateOfTheServiceIsChecked(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(says(http.StatusOK))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	authority := pemOf(s)
	for name, c := range map[string]struct {
		rule map[string]any
		want int
	}{
		"an unknown authority": {map[string]any{}, 500},
		"its own authority":    {map[string]any{"rootCAs": authority}, 200},
		"no check":             {map[string]any{"insecureSkipVerify": true}, 200},
		"no check, old name":   {map[string]any{"skipInsecureVerify": true}, 200},
	} {
		c.rule["authUrl"] = s.URL
		if w := newGuard(t, c.rule).send(http.MethodGet, "/", nil); w.Code != c.want {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
}

func TestWithoutPathsTheWholeRouteIsAskedAbout(t *testing.T) { // M1
	t.Parallel()
	s := service(t, says(http.StatusUnauthorized))
	all, some := newGuard(t, map[string]any{"authUrl": s.URL}), newGuard(t, map[string]any{"authUrl": s.URL}, "/admin")
	for path, want := range map[string]int{"/": 200, "/metrics": 200, "/administrator": 200, "/admin": 401, "/ADMIN/x": 401} {
		if got := all.send(http.MethodGet, path, nil).Code; got != http.StatusUnauthorized {
			t.Errorf("%s: status %d", path, got)
		}
		if got := some.send(http.MethodGet, path, nil).Code; got != want {
			t.Errorf("%s with paths: status %d", path, got)
		}
	}
}

func TestWhatCannotBeMeantIsRefused(t *testing.T) { // C6, C2
	t.Parallel()
	const url = `"authUrl":"http://auth"`
	for rule, field := range map[string]string{
		`{}`:                                                            "rule.authUrl",
		`{"authUrl":"auth:80"}`:                                         "rule.authUrl",
		`{"authUrl":"ftp://auth"}`:                                      "rule.authUrl",
		`{"authUrl":"http://"}`:                                         "rule.authUrl",
		`{"authUrl":"http://${A}"}`:                                     "rule.authUrl",
		`{` + url + `,"authSignIn":"//evil.test"}`:                      "rule.authSignIn",
		`{` + url + `,"authSignIn":"/\\evil.test"}`:                     "rule.authSignIn",
		`{` + url + `,"authSignIn":"javascript:alert(1)"}`:              "rule.authSignIn",
		`{` + url + `,"authSignIn":"https://a\r\nX: b"}`:                "rule.authSignIn",
		`{` + url + `,"timeout":"-1s"}`:                                 "rule.timeout",
		`{` + url + `,"timeout":"1h"}`:                                  "rule.timeout",
		`{` + url + `,"rootCAs":"/etc/passwd"}`:                         "rule.rootCAs", // T8
		`{` + url + `,"authRequestHeaders":["Content-Length"]}`:         "rule.authRequestHeaders[0]",
		`{` + url + `,"authRequestHeaders":["A","x-forwarded-method"]}`: "rule.authRequestHeaders[1]",
		`{` + url + `,"authRequestHeaders":["a b"]}`:                    "rule.authRequestHeaders[0]",
		`{` + url + `,"authResponseHeaders":["A:"]}`:                    "rule.authResponseHeaders[0]",
		`{` + url + `,"authResponseHeaders":[": B"]}`:                   "rule.authResponseHeaders[0]",
		`{` + url + `,"authResponseHeaders":["A: transfer-encoding"]}`:  "rule.authResponseHeaders[0]", // H6
		`{` + url + `,"authResponseHeaders":["Host"]}`:                  "rule.authResponseHeaders[0]",
		`{` + url + `,"authResponseHeadersAsParams":["A B: c"]}`:        "rule.authResponseHeadersAsParams[0]",
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
	parsed, problems := parse(json.RawMessage(`{` + url + `,"trustForwardHeader":true}`))
	if parsed == nil || len(problems) != 1 || problems[0].Severity != config.SeverityNote {
		t.Errorf("trustForwardHeader: %v", problems)
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"authUrl":"http://a","authResponseHeaders":["A: B"],"addAuthCookiesToResponse":[]}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}

func pemOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}
