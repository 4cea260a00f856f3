// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// front is a proxy on a real server, in front of a backend.
type front struct {
	*httptest.Server

	t        *testing.T
	exchange atomic.Pointer[exchange.Exchange]
	// trusted says that the peer is a trusted proxy.
	trusted bool
	// done is closed when a request has been served.
	done chan struct{}
}

// newFront serves a route; its target is that of the backend unless it has one.
func newFront(t *testing.T, r config.Route, target string, s upstream.Settings) *front {
	t.Helper()
	if r.Target == "" && len(r.Backends) == 0 {
		r.Target = target
	}
	if r.Path == "" {
		r.Path = "/"
	}
	registry := upstream.NewRegistry(s, pool.New())
	cluster, problems := registry.Acquire(&r)
	if cluster == nil {
		t.Fatal(problems)
	}
	t.Cleanup(cluster.Release)
	f := &front{t: t, done: make(chan struct{}, 100)}
	h := New(Options{Route: &r, Cluster: cluster})
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer := netip.MustParseAddrPort(r.RemoteAddr).Addr()
		x := &exchange.Exchange{
			PeerIP: peer, ClientIP: peer, PeerTrusted: f.trusted, Scheme: "http", Host: r.Host, Path: r.URL.EscapedPath(),
		}
		f.exchange.Store(x)
		defer func() { f.done <- struct{}{} }()
		h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	}))
	f.Config.ErrorLog = nil
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	f.Config.Protocols = &protocols
	f.Start()
	t.Cleanup(f.Close)
	return f
}

func serveBackend(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// behind is a front for a backend that a function is.
func behind(t *testing.T, r config.Route, h http.HandlerFunc) *front {
	t.Helper()
	return newFront(t, r, serveBackend(t, h).URL, upstream.Settings{})
}

func (f *front) get(path string, edit ...func(*http.Request)) *http.Response {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.URL+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range edit {
		e(r)
	}
	resp, err := f.Client().Transport.RoundTrip(r)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// raw sends bytes and gives the whole answer.
func (f *front) raw(text string) string {
	f.t.Helper()
	c, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		f.t.Fatal(err)
	}
	answer, _ := io.ReadAll(c)
	return string(answer)
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

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
	f.raw("GET / HTTP/1.1\r\nHost: a.test\r\nConnection:\r\nConnection: close, X-Forwarded-For, X-Drop, Host\r\nX-Drop: 1\r\n" +
		"Keep-Alive: 1\r\nProxy-Connection: x\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nX-Keep: 1\r\n\r\n")
	h := <-seen
	for _, name := range []string{"X-Drop", "Keep-Alive", "Proxy-Connection", "Upgrade", "Http2-Settings", "Connection"} {
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

func TestBodiesAndTrailersPassBothWays(t *testing.T) {
	t.Parallel()
	f := behind(t, config.Route{}, func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Trailer", "X-Sum")
		_, _ = fmt.Fprintf(w, "%d %v %s", len(data), r.TransferEncoding, r.Trailer.Get("X-Client"))
		if r.Trailer.Get("X-Forwarded-For") != "" {
			t.Error("a forged trailer arrived") // P6
		}
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL, io.MultiReader(strings.NewReader("abc"), bytes.NewReader(make([]byte, 1<<20))))
	if err != nil {
		t.Fatal(err)
	}
	r.Trailer = http.Header{"X-Client": {"c"}, "X-Forwarded-For": {"forged"}}
	resp, err := f.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read
	if got := body(t, resp); got != "1048579 [chunked] c" {
		t.Errorf("got %s", got)
	}
	if resp.Trailer.Get("X-Sum") != "1" || resp.Trailer.Get("X-Late") != "2" {
		t.Errorf("trailers %v", resp.Trailer)
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

// rawBackend answers every connection with the same bytes, and closes it.
func rawBackend(t *testing.T, answer string) string {
	t.Helper()
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
			go func() {
				defer c.Close() //nolint:errcheck // a test
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, answer)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
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

func TestAMalformedBodyIsTheClientsFault(t *testing.T) { // H2
	t.Parallel()
	f := behind(t, config.Route{}, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	answer := f.raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\nzz\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
		t.Errorf("answer %q", answer)
	}
}

func TestAnEarlyRefusalReachesAClientThatStillSends(t *testing.T) { // H11
	t.Parallel()
	f := behind(t, config.Route{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL, bytes.NewReader(make([]byte, 64<<10)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
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

func TestAWebSocketIsATunnel(t *testing.T) { // H5
	t.Parallel()
	f := behind(t, config.Route{Rewrite: "/ws"}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws/x" {
			t.Errorf("path %s", r.URL.Path)
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow() //nolint:errcheck // a test
		c.SetReadLimit(-1)
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, data); err != nil {
				t.Error(err)
			}
		}
	})
	c, resp, err := websocket.Dial(t.Context(), f.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow() //nolint:errcheck // a test
	c.SetReadLimit(-1)
	if resp.Header.Get("Upgrade") == "" {
		t.Errorf("head %v", resp.Header)
	}
	for _, size := range []int{1, 1 << 20} {
		message := bytes.Repeat([]byte("x"), size)
		if err := c.Write(t.Context(), websocket.MessageBinary, message); err != nil {
			t.Fatal(err)
		}
		if _, data, err := c.Read(t.Context()); err != nil || !bytes.Equal(data, message) {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	<-f.done // the tunnel ends with its sides
}

func TestARefusedUpgradeIsAnOrdinaryAnswer(t *testing.T) { // H5
	t.Parallel()
	f := behind(t, config.Route{}, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	_, resp, err := websocket.Dial(t.Context(), f.URL, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%v %v", resp, err)
	}
}

func TestEarlyDataOfAnUpgradeAndHalfClosedConnectionsArrive(t *testing.T) { // H5
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close() //nolint:errcheck // a test
		in := bufio.NewReader(c)
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\nfirst ")
		data, _ := io.ReadAll(in) // until the client has closed its half
		_, _ = io.WriteString(c, "then "+string(data))
	}()
	f := newFront(t, config.Route{}, "http://"+l.Addr().String(), upstream.Settings{})
	c, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\nearly")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "WebSocket" {
		t.Fatalf("%v, %v", resp, err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(in); err != nil || string(data) != "first then early" {
		t.Errorf("%q, %v", data, err)
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

func TestALargeBodyTakesNoMoreMemoryThanABuffer(t *testing.T) { // H8
	t.Parallel()
	const size = 64 << 20
	f := behind(t, config.Route{}, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Read", fmt.Sprint(n))
		_, _ = io.CopyN(w, zeros{}, size)
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL, io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n != size || resp.Header.Get("X-Read") != fmt.Sprint(size) {
		t.Errorf("%d bytes, %v, %v", n, resp.Header, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func FuzzRewriteStaysInItsPrefix(f *testing.F) { // P3
	f.Add("/api", "/v1", "/api/x")
	f.Add("/{a}/b", "/v1/", "/x/b/c")
	f.Fuzz(func(t *testing.T, path, to, request string) {
		if !strings.HasPrefix(request, "/") || strings.Contains(request, "//") || strings.Contains(path, "//") {
			return
		}
		got := newRewriter(path, to).apply(request)
		want := newRewriter(path, to).prefix
		if got != request && !strings.HasPrefix(got, want) || !strings.HasPrefix(got, "/") {
			t.Fatalf("rewriting %q of %q to %q gives %q", request, path, to, got)
		}
	})
}

var errTest = errors.New("test")

func TestTheBodysOwnErrorIsTheOneToBlame(t *testing.T) {
	t.Parallel()
	b := &requestBody{src: io.NopCloser(io.MultiReader(strings.NewReader("x"), failing{}))}
	_, _ = io.Copy(io.Discard, b)
	var own *errBody
	if err := b.blame(io.ErrUnexpectedEOF); !errors.As(err, &own) || !errors.Is(err, errTest) {
		t.Errorf("blamed %v", err)
	}
	if err := (&requestBody{}).blame(io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("blamed %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errTest }
