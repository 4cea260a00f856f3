// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longest is how long a test waits for what must come.
const longest = 30 * time.Second

// text is a writer that may be read meanwhile.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *text) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *text) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// running is Up in this process.
type running struct {
	t        *testing.T
	at       gateway.Addresses
	out, log *text
	client   *http.Client
}

// up starts manifests on free ports and waits until they are served. Their
// backend app:80 is an echo.
func up(t *testing.T, o Options) *running {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(echo))
	r := &running{t: t, out: &text{}, log: &text{}, client: &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test looks at the certificate
		DisableKeepAlives: true,
	}}}
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan gateway.Addresses, 1), make(chan error, 1)
	o.HTTP, o.Admin, o.Out, o.Log = "127.0.0.1:0", gateway.None, r.out, r.log
	if o.HTTPS == "" {
		o.HTTPS = gateway.None
	}
	o.Resolve = map[string]string{"App:80": backend.Listener.Addr().String()}
	o.Ready = func(a gateway.Addresses) { ready <- a }
	go func() { done <- Up(ctx, o) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("it ended with %v", err)
			}
		case <-time.After(longest):
			t.Error("it does not end")
		}
		r.client.CloseIdleConnections()
		backend.Close()
	})
	select {
	case r.at = <-ready:
	case err := <-done:
		done <- nil
		t.Fatalf("it ended with %v:\n%s%s", err, r.out, r.log)
	case <-time.After(longest):
		t.Fatalf("it is not ready:\n%s%s", r.out, r.log)
	}
	return r
}

// get gives status and body; 0 when there is no answer.
func (r *running) get(path string) (status int, body string) {
	resp, err := r.client.Get("http://" + r.at.Web + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}

// expect demands an answer now.
func (r *running) expect(path string, status int) string {
	r.t.Helper()
	have, body := r.get(path)
	if have != status {
		r.t.Errorf("GET %s is %d %s, want %d", path, have, body, status)
	}
	return body
}

// until waits for something to become true.
func (r *running) until(what string, is func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(longest); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s does not come:\n%s%s", what, r.out, r.log)
		}
	}
}

func (r *running) untilPrinted(part string) {
	r.t.Helper()
	r.until(part, func() bool { return strings.Contains(r.out.String(), part) })
}

func (r *running) untilStatus(path string, status int) {
	r.t.Helper()
	r.until(path, func() bool {
		have, _ := r.get(path)
		return have == status
	})
}

func TestWithoutManifestsTheQuickstartAnswersAtOnce(t *testing.T) {
	t.Parallel()
	r := up(t, Options{})
	var seen struct {
		Path    string
		Headers http.Header
	}
	must(t, json.Unmarshal([]byte(r.expect("/", 200)), &seen))
	if seen.Path != "/" || seen.Headers.Get("X-Hello") == "" {
		t.Errorf("the backend saw %+v", seen)
	}
	r.untilPrinted("ROUTE")
	for _, want := range []string{"Gateway default/quickstart is up: http://" + r.at.Web, "echo", "hello"} {
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("%q is not printed:\n%s", want, r.out)
		}
	}
}

func TestTheQuickstartPassesItsOwnCheck(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.yaml")
	write(t, path, string(quickstart))
	_, problems, err := Check([]string{path}, nil)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestEditsAreLiveAndBrokenOnesChangeNothing(t *testing.T) { // D1
	t.Parallel()
	path := manifests(t, gatewayOf(gw, "{}"), routeOf("a", "/one", ""))
	r := up(t, Options{Paths: []string{filepath.Dir(path)}})
	r.expect("/one", 200)
	write(t, path, gatewayOf(gw, "{}")+"---\n"+routeOf("a", "/two", ""))
	r.untilStatus("/two", 200)
	r.expect("/one", 404)

	write(t, path, gatewayOf(gw, "{}")+"---\n"+routeOf("a", "/three", ", nonsense: 1"))
	r.untilPrinted(path + ":9:63: error: Route default/a: spec.nonsense: is not a field of Route")
	r.untilPrinted("Route default/a: its last good version stays in use")
	r.expect("/two", 200)

	write(t, path, "kind: [")
	r.untilPrinted(path + ":1: error: ")
	r.untilPrinted("Gateway default/gw: its last good version stays in use")
	r.expect("/two", 200)

	must(t, os.Rename(path, path+".away"))
	r.untilPrinted("the manifests hold no Gateway")
	r.expect("/two", 200)

	write(t, path, gatewayOf(gw, "{}")+"---\n"+routeOf("a", "/four", ""))
	r.untilStatus("/four", 200)
	r.expect("/two", 404)
	write(t, filepath.Join(filepath.Dir(path), "new", "b.json"),
		`{"apiVersion":"gateway.jkaninda.dev/v1alpha1","kind":"Route","metadata":{"name":"b"},"spec":{"gateways":["gw"],"path":"/b","target":"http://app:80"}}`)
	r.untilStatus("/b", 200)
	r.untilPrinted("reloaded: 2 routes, 0 middlewares\n")
	must(t, os.RemoveAll(filepath.Join(filepath.Dir(path), "new")))
	r.untilStatus("/b", 404)
	r.expect("/four", 200)
}

func TestSettingsOfTheGatewayThatCanChangeLiveDo(t *testing.T) {
	t.Parallel()
	path := manifests(t, gatewayOf(gw, "{}"))
	r := up(t, Options{Paths: []string{path}})
	r.expect("/metrics", 404)
	write(t, path, gatewayOf(gw, "{server: {monitoring: {enableMetrics: true}}}"))
	r.untilStatus("/metrics", 200)
	write(t, path, gatewayOf(gw, "{server: {networking: {transport: {maxIdleConns: 7}}}}"))
	r.untilPrinted(path + ":4:17: warning: Gateway default/gw: spec.server.networking: the change takes effect when the gateway is started again")
}

func TestCertificatesComeFromManifestsAndRotate(t *testing.T) { // K3
	t.Parallel()
	objects := gatewayOf(gw, "{}") + "---\n" + routeOf("a", "/", ", hosts: [web.example.com], tls: {secretName: web}")
	path := manifests(t, objects)
	secret := filepath.Join(filepath.Dir(path), "secret.yaml")
	r := up(t, Options{Paths: []string{filepath.Dir(path)}, HTTPS: "127.0.0.1:0"})
	r.untilPrinted(path + ":9:")
	ask := func(want string) func() bool {
		return func() bool {
			dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: "web.example.com"}} //nolint:gosec // it looks at the certificate
			c, err := dialer.DialContext(t.Context(), "tcp", r.at.WebSecure)
			if err != nil {
				return false
			}
			defer c.Close() //nolint:errcheck // a test
			names := c.(*tls.Conn).ConnectionState().PeerCertificates[0].DNSNames
			return len(names) == 2 && names[1] == want
		}
	}
	one, two := pair(t, "web.example.com", "one"), pair(t, "web.example.com", "two")
	write(t, secret, secretOf("web", one))
	r.until("the first certificate", ask("one"))
	write(t, secret, secretOf("web", two))
	r.until("the second certificate", ask("two"))
	write(t, secret, secretOf("web", map[string]string{"tls.crt": one["tls.crt"], "tls.key": two["tls.key"]}))
	r.untilPrinted("Secret default/web does not hold a certificate and its private key")
	if !ask("two")() {
		t.Error("a pair that does not fit is served")
	}
}

func TestARouteWhoseSecretIsMissingAnswers503AndSaysWhich(t *testing.T) { // E4
	t.Parallel()
	path := manifests(t, gatewayOf(gw, "{}"), routeOf("a", "/", ", security: {tls: {rootCAsSecret: ca}}"), routeOf("b", "/b", ""))
	r := up(t, Options{Paths: []string{path}})
	r.expect("/", 503)
	r.expect("/b", 200)
	r.untilPrinted("spec.security.tls.rootCAsSecret: no manifest holds Secret default/ca")
	if strings.Count(r.out.String(), "error:") != 1 || strings.Contains(r.out.String(), os.TempDir()+"/goma-") {
		t.Errorf("it is said more than once, or with paths of no use:\n%s", r.out)
	}
}

func TestManifestsThatAreRefusedDoNotStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		docs []string
		name string
		want string
		log  string
	}{
		"an unknown field":  {[]string{gatewayOf(gw, "{x: 1}")}, "", ErrRefused.Error(), ":4:8: error: Gateway default/gw: spec.x:"},
		"no Gateway":        {[]string{routeOf("a", "/", "")}, "", "the manifests hold no Gateway", ""},
		"several Gateways":  {[]string{gatewayOf("a", "{}"), gatewayOf("b", "{}")}, "", "2 Gateways, a, b; choose one with --gateway", ""},
		"not this Gateway":  {[]string{gatewayOf("a", "{}")}, "z", "no Gateway z; there is a", ""},
		"nothing to read":   {nil, "", "no manifests", ""},
		"nothing but notes": {[]string{"# nothing\n"}, "", "the manifests hold no Gateway", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paths := []string{t.TempDir()}
			if c.docs != nil {
				paths = []string{manifests(t, c.docs...)}
			}
			log := &text{}
			err := Up(t.Context(), Options{Paths: paths, Gateway: c.name, HTTP: "127.0.0.1:0", HTTPS: gateway.None, Admin: gateway.None, Out: io.Discard, Log: log})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(log.String(), c.log) {
				t.Errorf("%v\n%s", err, log)
			}
		})
	}
}

func TestAPortThatIsTakenIsNamedWithTheWayOut(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // binds at once
	must(t, err)
	defer l.Close() //nolint:errcheck // a test
	err = Up(t.Context(), Options{HTTP: l.Addr().String(), HTTPS: gateway.None, Admin: gateway.None, Out: io.Discard, Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "--http") {
		t.Error(err)
	}
}

func TestNothingIsLeftOnDisk(t *testing.T) { //nolint:paralleltest // it sets the directory for temporary files
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	ctx, stop := context.WithCancel(t.Context())
	seen := 0
	err := Up(ctx, Options{
		HTTP: "127.0.0.1:0", HTTPS: gateway.None, Admin: gateway.None, Out: io.Discard, Log: io.Discard,
		Ready: func(gateway.Addresses) {
			found, _ := filepath.Glob(filepath.Join(dir, "goma-*", "goma.yml"))
			seen = len(found)
			stop()
		},
	})
	left, _ := filepath.Glob(filepath.Join(dir, "goma-*"))
	if err != nil || seen != 1 || len(left) > 0 {
		t.Errorf("%v, %d files while it runs, left over %v", err, seen, left)
	}
}

func TestSecretsForVariablesAreReadAnew(t *testing.T) {
	t.Parallel()
	objects := func(token string) string {
		return gatewayOf(gw, "{server: {reload: {enabled: true, path: /reload, token: "+token+"}}}")
	}
	path := manifests(t, objects("first-token-1234"))
	r := up(t, Options{Paths: []string{path}})
	post := func(token string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.at.Web+"/reload", nil)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := r.client.Do(req)
		if err != nil {
			return 0
		}
		must(t, errors.Join(resp.Body.Close()))
		return resp.StatusCode
	}
	if have := post("first-token-1234"); have != 200 {
		t.Errorf("the reload endpoint answers %d", have)
	}
	write(t, path, objects("second-token-5678"))
	r.until("the second token", func() bool { return post("second-token-5678") == 200 })
	if have := post("first-token-1234"); have == 200 {
		t.Error("the first token is still good")
	}
}
