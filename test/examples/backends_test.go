// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build examples

package examples

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// The headers by which a backend tells what has reached it.
const (
	sawBackend = "Saw-Backend"
	sawPath    = "Saw-Path"
	sawHost    = "Saw-Host"
	sawClient  = "Saw-Client"
	// sawPrefix is in front of each header of the request.
	sawPrefix = "Saw-Header-"
	// askStatus and askLength ask it for another answer, and askFailures for as
	// many failures of each backend at that path before one.
	askFailures = "Ask-Failures"
	askStatus   = "Ask-Status"
	askLength   = "Ask-Length"
)

// backends starts an echo for each endpoint, and gives the flags that send the
// gateway there. Those with TLS demand the client certificate of the CA.
func backends(t *testing.T, endpoints []string, ca *authority) (flags []string) {
	t.Helper()
	for _, endpoint := range endpoints {
		u, err := config.ParseEndpoint(endpoint)
		must(t, err)
		server := httptest.NewUnstartedServer(echo(u.Hostname()))
		if u.Scheme == "https" {
			pool := x509.NewCertPool()
			pool.AddCert(ca.cert)
			server.TLS = &tls.Config{
				Certificates: []tls.Certificate{ca.issue(t, u.Hostname()).pair(t)},
				ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
			}
			server.StartTLS()
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		flags = append(flags, "--resolve", net.JoinHostPort(u.Hostname(), port)+"="+server.Listener.Addr().String())
	}
	return flags
}

// echo answers 200 and says by headers what it has seen. A request may ask for another
// status, and for a text of some length.
func echo(name string) http.Handler {
	var mu sync.Mutex
	failures := map[string]int{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set(sawBackend, name)
		h.Set(sawPath, r.URL.RequestURI())
		h.Set(sawHost, r.Host)
		for k, v := range r.Header {
			h.Set(sawPrefix+k, strings.Join(v, ", "))
		}
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			h.Set(sawClient, r.TLS.PeerCertificates[0].DNSNames[0])
		}
		status, err := strconv.Atoi(r.Header.Get(askStatus))
		if err != nil {
			status = http.StatusOK
		}
		if most, err := strconv.Atoi(r.Header.Get(askFailures)); err == nil {
			mu.Lock()
			if failures[r.URL.Path] < most {
				failures[r.URL.Path]++
				status = http.StatusServiceUnavailable
			}
			mu.Unlock()
		}
		length, err := strconv.Atoi(r.Header.Get(askLength))
		if err == nil {
			h.Set("Content-Type", "text/plain")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.Repeat("x", length))
	})
}
