// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

func TestPathAndQueryArriveAsTheyWereSent(t *testing.T) { // P3, P4
	t.Parallel()
	for _, c := range []struct{ path, rewrite, target, request, want string }{
		{"/api", "/v1", "", "/api/users/1?a=b", "/v1/users/1?a=b"},
		{"/api", "/v1", "", "/api", "/v1"},
		{"/api", "/v1", "", "/api/", "/v1/"},
		{"/api", "/", "", "/api/x", "/x"},
		{"/api", "/", "", "/api", "/"},
		{"/", "/v1", "", "/x", "/v1/x"},
		{"/api/", "//v1//", "", "/api/x/", "/v1/x/"},
		{"/noh", "", "/base", "/noh/x", "/base/noh/x"},
		{"/noh", "/y", "/base/", "/noh/x", "/base/y/x"},
		{"/users/{id}/files", "/f", "", "/users/7/files/a%2Fb", "/f/a%2Fb"},
		{"/api", "/v1", "", "/apiary", "/apiary"},
		{"/", "", "", "/a%2Fb%20c;d?x=%zz&y=1;2&&z", "/a%2Fb%20c;d?x=%zz&y=1;2&&z"},
		{"/", "", "", "/a?", "/a?"},
	} {
		t.Run(c.path+" "+c.request, func(t *testing.T) {
			t.Parallel()
			backend := serveBackend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) })
			f := newFront(t, config.Route{Path: c.path, Rewrite: c.rewrite}, backend.URL+strings.TrimSuffix(c.target, "/"), upstream.Settings{})
			answer := f.raw("GET " + c.request + " HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
			if _, got, _ := strings.Cut(answer, "\r\n\r\n"); got != c.want {
				t.Errorf("the backend saw %q, want %q", got, c.want)
			}
		})
	}
}

func TestTheBackendLearnsWhereARequestComesFrom(t *testing.T) { // P5, P6
	t.Parallel()
	seen := make(chan *http.Request, 1)
	forged := []string{
		"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Port",
		"X-Real-IP", "Forwarded", "X_Forwarded_For", "x-forwarded_proto", "X_Real_Ip",
	}
	for name, c := range map[string]struct {
		trusted bool
		want    map[string]string
	}{
		"from an untrusted peer": {false, map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "a.test", "X-Real-Ip": "127.0.0.1",
			"X-Forwarded-Prefix": "", "X-Forwarded-Port": "", "Forwarded": "",
		}},
		"from a trusted proxy": {true, map[string]string{
			"X-Forwarded-For": "forged, 127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "forged", "X-Real-Ip": "127.0.0.1",
			"X-Forwarded-Prefix": "forged", "X-Forwarded-Port": "forged", "Forwarded": "forged",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := behind(t, config.Route{}, func(_ http.ResponseWriter, r *http.Request) { seen <- r })
			f.trusted = c.trusted
			var head strings.Builder
			for _, h := range forged {
				head.WriteString(h + ": forged\r\n")
			}
			f.raw("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n" + head.String() + "\r\n")
			r := <-seen
			for name, want := range c.want {
				if got := strings.Join(r.Header[http.CanonicalHeaderKey(name)], "|"); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			for name := range r.Header {
				if strings.Contains(name, "_") {
					t.Errorf("%s arrived", name)
				}
			}
			if r.Host != "a.test" {
				t.Errorf("Host %s", r.Host)
			}
		})
	}
}

func TestTheHostIsTheClientsUnlessTheRouteSaysOtherwise(t *testing.T) {
	t.Parallel()
	off := false
	for _, c := range []struct {
		keep *bool
		own  bool
	}{{nil, false}, {&off, true}} {
		backend := serveBackend(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Host+" "+r.Header.Get("X-Forwarded-Host"))
		})
		f := newFront(t, config.Route{Security: &config.RouteSecurity{ForwardHostHeaders: c.keep}}, backend.URL, upstream.Settings{})
		want := "a.test a.test"
		if c.own {
			want = strings.TrimPrefix(backend.URL, "http://") + " a.test"
		}
		if got := body(t, f.get("/", func(r *http.Request) { r.Host = "a.test" })); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestHopByHopHeadersEndHereAndOursCannotBeListedAway(t *testing.T) { // P7, H5
	t.Parallel()
	seen := make(chan http.Header, 1)
	f := behind(t, config.Route{}, func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	f.raw("GET / HTTP/1.1\r\nHost: a.test\r\nConnection:\r\nConnection: close, X-Forwarded-For, Host\r\n" +
		"Keep-Alive: 1\r\nProxy-Connection: x\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nX-Keep: 1\r\n\r\n")
	h := <-seen
	for _, name := range []string{"Keep-Alive", "Proxy-Connection", "Upgrade", "Http2-Settings", "Connection"} {
		if _, ok := h[name]; ok {
			t.Errorf("%s arrived: %v", name, h[name])
		}
	}
	if h.Get("X-Keep") != "1" || h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("Te") != "trailers" {
		t.Errorf("headers %v", h)
	}
	back := newFront(t, config.Route{}, rawBackend(t, "HTTP/1.1 200 OK\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\n"+
		"Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nX-Open: 1\r\nContent-Length: 0\r\n\r\n"), upstream.Settings{}).get("/").Header
	if back.Get("X-Secret")+back.Get("Keep-Alive")+back.Get("Proxy-Authenticate") != "" || back.Get("X-Open") != "1" {
		t.Errorf("headers back %v", back)
	}
}

func TestAStreamIsPassedOnAsItComes(t *testing.T) { // H8
	t.Parallel()
	for name, length := range map[string]string{"without a length": "", "with a length": "8"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := make(chan struct{})
			f := behind(t, config.Route{}, func(w http.ResponseWriter, _ *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				flush := http.NewResponseController(w)
				if length == "" { // the head of a stream goes out alone
					_ = flush.Flush()
					<-next
				}
				_, _ = io.WriteString(w, "one\n")
				_ = flush.Flush()
				<-next
				_, _ = io.WriteString(w, "two\n")
			})
			resp := f.get("/")
			if length == "" {
				next <- struct{}{}
			}
			lines := bufio.NewReader(resp.Body)
			if line, err := lines.ReadString('\n'); err != nil || line != "one\n" {
				t.Fatalf("%q, %v", line, err)
			}
			next <- struct{}{}
			if line, err := lines.ReadString('\n'); err != nil || line != "two\n" {
				t.Fatalf("%q, %v", line, err)
			}
		})
	}
}

func TestAnAnswerThatBreaksOffIsNotAWholeOne(t *testing.T) { // H11
	t.Parallel()
	for name, half := range map[string]string{
		"chunked":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"a length":         "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
		"a malformed part": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, config.Route{}, rawBackend(t, half), upstream.Settings{})
			resp := f.get("/")
			if data, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("a clean end after %q", data)
			}
		})
	}
}

func TestWhatGoesWrongHasItsStatus(t *testing.T) { // U4
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + closed.Addr().String()
	_ = closed.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	hung := serveBackend(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, c := range map[string]struct {
		target string
		status int
	}{
		"nobody listens":            {refused, 502},
		"no such name":              {"http://does-not-exist.invalid:80", 502},
		"an untrusted certificate":  {secure.URL, 502},
		"no HTTP":                   {rawBackend(t, "SSH-2.0-x\r\n"), 502},
		"an empty answer":           {rawBackend(t, ""), 502},
		"a head that never ends":    {rawBackend(t, "HTTP/1.1 200 OK\r\n"), 502},
		"a switch nobody asked for": {rawBackend(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), 502},
		"no answer in time":         {hung.URL, 504},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, config.Route{}, c.target, upstream.Settings{Networking: config.Networking{
				Transport: config.Transport{ResponseHeaderTimeout: 1},
			}})
			resp := f.get("/")
			if got := body(t, resp); resp.StatusCode != c.status || got == "" {
				t.Errorf("status %d %q, want %d", resp.StatusCode, got, c.status)
			}
			if f.exchange.Load().Reason == "" || f.exchange.Load().Upstream == "" {
				t.Errorf("the log knows %+v", f.exchange.Load())
			}
		})
	}
}

func TestAClientThatGoesAwayEndsTheWorkOfTheBackend(t *testing.T) { // H11
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan struct{})
	f := behind(t, config.Route{}, func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(ended)
	})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-begun; cancel() }()
	if resp, err := f.Client().Do(r); err == nil {
		_ = resp.Body.Close()
		t.Fatal("there was an answer")
	}
	<-ended
	<-f.done
	if got := f.exchange.Load().Reason; got != "client_closed" {
		t.Errorf("reason %s", got)
	}
}

func TestInformationalAnswersPassAndTheFinalOneStays(t *testing.T) { // H7
	t.Parallel()
	f := behind(t, config.Route{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-Final", "1")
		w.WriteHeader(http.StatusAccepted)
	})
	var early []int
	var link string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		early, link = append(early, code), h.Get("Link")
		return nil
	}}
	resp := f.get("/", func(r *http.Request) { *r = *r.WithContext(httptrace.WithClientTrace(r.Context(), trace)) })
	if len(early) != 1 || early[0] != 103 || link == "" || resp.StatusCode != 202 || resp.Header.Get("X-Final") != "1" {
		t.Errorf("early %v %q, final %d %v", early, link, resp.StatusCode, resp.Header)
	}
	flood := newFront(t, config.Route{}, rawBackend(t, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000)+"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), upstream.Settings{})
	if resp := flood.get("/"); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("a flood of informational answers ends in %d", resp.StatusCode)
	}
}

func TestABackendWithoutTLSMaySpeakHTTP2(t *testing.T) {
	t.Parallel()
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	backend.Config.Protocols = &protocols
	backend.Start()
	t.Cleanup(backend.Close)
	f := newFront(t, config.Route{}, strings.Replace(backend.URL, "http:", "h2c:", 1), upstream.Settings{})
	if got := body(t, f.get("/")); got != "HTTP/2.0" {
		t.Errorf("the backend spoke %s", got)
	}
}
