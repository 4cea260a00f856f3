// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shops is a gateway with one certificate for all hosts, of which each asks something
// else of its clients.
func shops(t *testing.T, authority string) *running {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(backend.Close)
	cert, key := newAuthority(t).pairFor(t, t.TempDir(), "wild", "*.shop.example")
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile(fmt.Sprintf("  tls: {certificates: [{cert: %q, key: %q}]}\n", cert, key),
		routeYAML("open", "/", backend.URL, ", hosts: [open.shop.example]")+
			routeYAML("closed", "/", backend.URL, fmt.Sprintf(", hosts: [closed.shop.example], tls: {clientAuth: {clientCA: %q}}", authority))+
			routeYAML("half", "/public", backend.URL, ", hosts: [closed.shop.example]")+
			routeYAML("maybe", "/", backend.URL, fmt.Sprintf(", hosts: [maybe.shop.example], tls: {clientAuth: {clientCA: %q, mode: Optional}}", authority))))
	r := start(t, Options{ConfigFile: path, WebSecure: "127.0.0.1:0"}).waitReady()
	r.untilRoutes("open", "closed", "half", "maybe")
	return r
}

// What a route asks of its clients holds for every request that gets to it, whichever
// connection it comes on.
func TestARouteAsksItsClientsForCertificates(t *testing.T) { // A1, A2, G4
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	write(t, file, string(ca.pem))
	r := shops(t, file)
	good, bad := ca.issue(t, x509.ExtKeyUsageClientAuth), other.issue(t, x509.ExtKeyUsageClientAuth)
	const open, closed, maybe = "open.shop.example", "closed.shop.example", "maybe.shop.example"
	for _, x := range []struct {
		sni, host string
		client    *tls.Certificate
		want      int // 0 is no handshake
	}{
		{open, open, nil, 200},
		{open, open, bad, 200}, // it is not asked for
		{closed, closed, nil, 403},
		{closed, closed, good, 200},
		{closed, closed + ":8443", good, 200},
		{closed, closed, bad, 0},
		{maybe, maybe, nil, 200},
		{maybe, maybe, good, 200},
		{maybe, maybe, bad, 0},
		{open, closed, good, 421}, // the connection was made without it
		{open, closed, nil, 421},
		{"", closed, good, 421},
		{maybe, closed, good, 200},
		{maybe, closed, nil, 421},
		{open, maybe, good, 421},
		{closed, open, good, 200},
	} {
		for _, h2 := range []bool{false, true} {
			if got := statusOn(t, r.at.WebSecure, x.sni, x.host, h2, x.client); got != x.want {
				t.Errorf("a connection for %q asks for %q, with a certificate %v, HTTP/2 %v: %d, want %d", x.sni, x.host, x.client != nil, h2, got, x.want)
			}
		}
	}
	for host, want := range map[string]int{open: 200, closed: 403, maybe: 200} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.at.Web+"/", nil)
		must(t, err)
		q.Host = host
		resp, err := r.client.Do(q)
		must(t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s without TLS: %d, want %d", host, resp.StatusCode, want)
		}
	}
}

// Another authority holds at once, for connections too that were made before.
func TestAnotherAuthorityOfARouteHoldsAtOnce(t *testing.T) { // A1
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	write(t, file, string(ca.pem))
	r := shops(t, file)
	const closed = "closed.shop.example"
	c, err := tls.Dial("tcp", r.at.WebSecure, &tls.Config{ //nolint:noctx // a test
		ServerName: closed, InsecureSkipVerify: true, Certificates: []tls.Certificate{*ca.issue(t, x509.ExtKeyUsageClientAuth)}, //nolint:gosec // a test
	})
	must(t, err)
	defer c.Close() //nolint:errcheck // a test
	must(t, c.SetDeadline(time.Now().Add(patience)))
	in := bufio.NewReader(c)
	ask := func(path string) int {
		_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, closed)
		must(t, err)
		resp, err := http.ReadResponse(in, nil)
		must(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if got := ask("/"); got != 200 {
		t.Fatalf("%d", got)
	}
	must(t, os.WriteFile(file, other.pem, 0o600))
	r.until("the other authority", func(Applied) bool {
		return statusOn(t, r.at.WebSecure, closed, closed, false, other.issue(t, x509.ExtKeyUsageClientAuth)) == 200
	})
	if got := ask("/public"); got != 200 {
		t.Errorf("%d where nothing is asked for", got)
	}
	if got := ask("/"); got != 403 {
		t.Errorf("%d with a certificate of the authority of before", got)
	}
	if got := statusOn(t, r.at.WebSecure, closed, closed, false, ca.issue(t, x509.ExtKeyUsageClientAuth)); got != 0 {
		t.Errorf("%d on a new connection", got)
	}
}

// A route whose authority cannot be read lets nobody in, and the others serve.
func TestARouteWithoutItsAuthorityLetsNobodyIn(t *testing.T) { // M2, E4
	t.Parallel()
	r := shops(t, filepath.Join(t.TempDir(), "nowhere.crt"))
	for host, want := range map[string]int{"open.shop.example": 200, "closed.shop.example": 503, "maybe.shop.example": 503} {
		if got := statusOn(t, r.at.WebSecure, host, host, true, nil); got != want {
			t.Errorf("%s: %d, want %d", host, got, want)
		}
	}
	if !strings.Contains(r.log.String(), "tls.clientAuth.clientCA") {
		r.untilLogged("tls.clientAuth.clientCA")
	}
}
