// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
)

func TestBackendsLearnWhoTheClientIsFromNobodyElse(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	t.Cleanup(backend.Close)
	ca := newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	write(t, file, string(ca.pem))
	path := filepath.Join(t.TempDir(), "goma.yml")
	settings := fmt.Sprintf("  tls: {clientAuth: {clientCA: %q, identityHeader: X-Client-Identity}}\n", file)
	write(t, path, mainFile(settings, routeYAML("a", "/a", backend.URL, "")))
	r := start(t, Options{ConfigFile: path, WebSecure: "127.0.0.1:0"}).waitReady()
	r.untilRoutes("a")
	for _, http2 := range []bool{false, true} {
		client := func(certificate *tls.Certificate) *http.Client {
			c := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // only the client's certificate matters here
			if certificate != nil {
				c.Certificates = []tls.Certificate{*certificate}
			}
			return &http.Client{Transport: &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: http2, DisableKeepAlives: true}}
		}
		for name, x := range map[string]struct {
			url    string
			client *http.Client
			want   string
		}{
			"with a certificate": {"https://" + r.at.WebSecure, client(ca.issue(t, x509.ExtKeyUsageClientAuth)), "h.example"},
			"without one":        {"https://" + r.at.WebSecure, client(nil), ""},
			"at the plain entry": {"http://" + r.at.Web, client(nil), ""},
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, x.url+"/a", nil)
			must(t, err)
			req.Header.Set("X-Client-Identity", "root")
			req.Header["X_Client_Identity"] = []string{"root"}
			resp, err := x.client.Do(req)
			must(t, err)
			must(t, resp.Body.Close())
			h := <-seen
			if got := h.Get("X-Client-Identity"); got != x.want || len(h["X_client_identity"]) > 0 {
				t.Errorf("%s, HTTP/2 %v: the backend saw %q: %v", name, http2, got, h)
			}
		}
	}
}

func TestNamesInHeadersAreVisible(t *testing.T) {
	t.Parallel()
	if got := visible("CN=a\r\nX: 1,O=é 100%"); got != "CN=a%0D%0AX: 1,O=%C3%A9 100%25" {
		t.Error(got)
	}
}
