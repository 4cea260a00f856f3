// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// trial is an experiment with one setting: a route, the same route with the setting,
// and what is seen of each. rival is another route of the same host.
type trial struct {
	base, with string
	see        func(*view) string
	want       [2]string
	rival      string
}

// lab is one gateway with the routes of all trials, and backends that tell what they
// have seen.
type lab struct {
	t      *testing.T
	r      *running
	dir    string
	words  *strings.Replacer
	mu     sync.Mutex
	counts map[string]int
	routes []json.RawMessage
	// key is that of all certificates of routes.
	key, otherKey *ecdsa.PrivateKey
	// serving is how the backends speak TLS.
	serving *tls.Config
}

// view is a route of a trial, by its host.
type view struct {
	lab        *lab
	t          *testing.T
	name, host string
	with       bool
	want       string
	// own are the backends of the route alone.
	own map[string]string
	// text is that of the main file, dir the directory of the trial.
	text, dir string
	origin    *origins
	once      sync.Once
}

// answer is what the client got.
type answer struct {
	status int
	header http.Header
	body   string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), counts: map[string]int{}, key: newKey(t), otherKey: newKey(t)}
	ca := newAuthority(t)
	secure := httptest.NewUnstartedServer(l.backend("T"))
	l.serving = &tls.Config{Certificates: []tls.Certificate{ca.serving(t)}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	secure.TLS = l.serving.Clone()
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	l.words = strings.NewReplacer(
		"$TLS", "https://h.example:"+secure.URL[strings.LastIndex(secure.URL, ":")+1:], "$CA", l.file("ca.crt", ca.pem),
		"$A", l.server("A"), "$B", l.server("B"), "$C", l.server("C"))
	return l
}

func (l *lab) file(name string, content []byte) string {
	path := filepath.Join(l.dir, name)
	write(l.t, path, string(content))
	return path
}

func (l *lab) server(name string) string {
	s := httptest.NewServer(l.backend(name))
	l.t.Cleanup(s.Close)
	return s.URL
}

// backend answers with its name and the path, and tells in headers what it saw. Some
// paths have it behave in another way.
func (l *lab) backend(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.counts[r.Host+r.URL.Path]++
		l.mu.Unlock()
		h := w.Header()
		h.Set("Seen-Host", r.Host)
		h.Set("Seen-Upgrade", r.Header.Get("Upgrade"))
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			h.Set("Seen-Certificate", r.TLS.PeerCertificates[0].Subject.CommonName)
		}
		switch code, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/status/")); {
		case code > 0:
			w.WriteHeader(code)
		case r.URL.Path == "/part":
			_, _ = io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
			hold(r)
		case r.URL.Path == "/big":
			for page := make([]byte, 64<<10); ; {
				if _, err := w.Write(page); err != nil {
					return
				}
			}
		case r.URL.Path == "/hold":
			hold(r)
		case name == "ill":
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintf(w, "%s %s", name, r.URL.Path)
	})
}

// hold waits for as long as the request says, or until its client has gone.
func hold(r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // else nobody would tell when the client goes
	}
	span, err := time.ParseDuration(r.URL.Query().Get("for"))
	if err != nil {
		span = time.Hour
	}
	select {
	case <-r.Context().Done():
	case <-time.After(span):
	}
}

// add makes the two routes of a trial. Each has its own host, and backends of its own
// where it names $OWN or $ILL.
func (l *lab) add(name string, x trial) (views [2]*view) {
	for i, text := range []string{x.base, x.with} {
		v := &view{lab: l, t: l.t, name: fmt.Sprint(name, i), with: i == 1, want: x.want[i]}
		v.host = v.name + ".example"
		v.own = map[string]string{"own": l.server("own"), "ill": l.server("ill")}
		own := strings.NewReplacer(append(l.pairs(v.name, v.host), "$OWN", v.own["own"], "$ILL", v.own["ill"])...)
		l.route(v, v.name, own.Replace(text))
		if x.rival != "" {
			l.route(v, "rival-"+v.name, x.rival)
		}
		views[i] = v
	}
	return views
}

func (l *lab) route(v *view, name, text string) {
	l.t.Helper()
	var fields map[string]any
	must(l.t, yaml.Unmarshal([]byte("{"+l.words.Replace(text)+"}"), &fields))
	for key, value := range map[string]any{"name": name, "hosts": []string{v.host}, "path": "/", "target": l.words.Replace("$A")} {
		if _, ok := fields[key]; !ok {
			fields[key] = value
		}
	}
	data, err := json.Marshal(fields)
	must(l.t, err)
	l.routes = append(l.routes, data)
}

// start runs the gateway and waits until the first configuration is live.
func (l *lab) start() {
	l.t.Helper()
	const settings = "  monitoring: {enableMetrics: true, enableRouteHealthCheck: true}\n"
	var list strings.Builder
	for _, r := range l.routes {
		list.WriteString("- " + string(r) + "\n")
	}
	path := l.file("goma.yml", []byte(mainFile(settings, list.String())+
		"middlewares:\n  - {name: prefix, type: addPrefix, rule: {prefix: /v1}}\n"))
	tlsBackend := strings.TrimPrefix(l.words.Replace("$TLS"), "https://")
	l.r = start(l.t, Options{
		ConfigFile: path, WebSecure: "127.0.0.1:0", Resolve: map[string]string{tlsBackend: strings.Replace(tlsBackend, "h.example", "127.0.0.1", 1)},
	}).waitReady()
}

// send makes a request to the route; headers are names and values in turn.
func (v *view) send(method, path string, headers ...string) answer {
	req, err := http.NewRequestWithContext(v.t.Context(), method, "http://"+v.lab.r.at.Web+path, nil)
	must(v.t, err)
	req.Host = v.host
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := v.lab.r.client.Do(req)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{resp.StatusCode, resp.Header, "broken off after " + string(body)}
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// body sees the body of the answer to a GET, status its status, header a header.
func body(path string, headers ...string) func(*view) string {
	return func(v *view) string { return v.send(http.MethodGet, path, headers...).body }
}

func status(method, path string, headers ...string) func(*view) string {
	return func(v *view) string { return strconv.Itoa(v.send(method, path, headers...).status) }
}

func header(name, path string, headers ...string) func(*view) string {
	return func(v *view) string { return v.send(http.MethodGet, path, headers...).header.Get(name) }
}

// shares sees how many of n requests each backend, or each status, has got. A header X-Key
// has another value each time.
func shares(n int) func(*view) string {
	return func(v *view) string {
		counts := map[string]int{}
		for i := range n {
			a := v.send(http.MethodGet, "/?k=v", "X-Key", strconv.Itoa(i), "X-Same", "same")
			if name, _, _ := strings.Cut(a.body, " "); a.status == http.StatusOK {
				counts[name]++
			} else {
				counts[strconv.Itoa(a.status)]++
			}
		}
		return strings.Trim(fmt.Sprint(counts), "map[]")
	}
}

// until sees the last of what is seen until it is what is wanted.
func until(see func(*view) string) func(*view) string {
	return func(v *view) string {
		for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			if got := see(v); got == v.want || time.Now().After(deadline) {
				return got
			}
		}
	}
}

// health sees what the gateway tells of the health of the route.
func health(v *view) string {
	_, text := v.lab.r.get("/healthz/routes")
	var all struct {
		Routes []struct{ Name, Status string }
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return err.Error() + text
	}
	for _, r := range all.Routes {
		if r.Name == v.name {
			return r.Status
		}
	}
	return "none of " + text
}

// certificate sees for whom the certificate is that the gateway shows for the host.
func certificate(v *view) string {
	c, err := tls.Dial("tcp", v.lab.r.at.WebSecure, &tls.Config{ServerName: v.host, InsecureSkipVerify: true}) //nolint:gosec,noctx // it is looked at, not trusted
	if err != nil {
		return err.Error()
	}
	defer c.Close() //nolint:errcheck // a test
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// serving is a certificate of servers of this host.
func (a *authority) serving(t *testing.T) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(4), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"h.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pairs gives the words for certificates of a host.
func (l *lab) pairs(name, host string) []string {
	return []string{
		"$ONE", l.file(name+"one.crt", selfSigned(l.t, "one", host, l.key)), "$TWO", l.file(name+"two.crt", selfSigned(l.t, "two", host, l.key)),
		"$KEY", l.file("key", keyPEM(l.t, l.key)), "$WRONG", l.file("wrong.key", keyPEM(l.t, l.otherKey)),
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// selfSigned is a certificate for a host that tells its name.
func selfSigned(t *testing.T, name, host string, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{host},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return bytes.TrimSpace(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
