// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// registry is one whose values must all be gone when the test ends.
func registry(t *testing.T, s Settings) *Registry {
	t.Helper()
	p := pool.New()
	t.Cleanup(func() {
		if n := p.Len(); n != 0 {
			t.Errorf("%d values are left in the pool", n)
		}
	})
	return NewRegistry(s, p)
}

// acquire gives a Cluster that is released when the test ends.
func acquire(t *testing.T, g *Registry, r *config.Route) *Cluster {
	t.Helper()
	c, problems := g.Acquire(r)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Cleanup(c.Release)
	return c
}

// problem gives the one problem that a route must have.
func problem(t *testing.T, g *Registry, r *config.Route) config.Problem {
	t.Helper()
	c, problems := g.Acquire(r)
	if c != nil {
		c.Release()
		t.Fatal("the route got a Cluster")
	}
	if len(problems) != 1 || !config.HasErrors(problems) {
		t.Fatalf("want one error, got %v", problems)
	}
	return problems[0]
}

func to(backends ...config.Backend) *config.Route {
	return &config.Route{Name: "r", Path: "/", Backends: backends}
}

func target(endpoint string) *config.Route {
	return &config.Route{Name: "r", Path: "/", Target: endpoint}
}

// discard is for servers whose clients break off.
func discard() *log.Logger { return log.New(io.Discard, "", 0) }

func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// incoming is a request as an entry point would hand it on.
func incoming(path string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r.WithContext(exchange.With(r.Context(), &exchange.Exchange{}))
}

// ask sends a GET to the endpoint that a Cluster chooses.
func ask(t *testing.T, c *Cluster, header ...string) (*http.Response, string, error) {
	t.Helper()
	return send(t, c, http.MethodGet, "", header...)
}

func send(t *testing.T, c *Cluster, method, body string, header ...string) (*http.Response, string, error) {
	t.Helper()
	e, err := c.Pick(Of(incoming("/")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if upgrade := slices.Contains(header, "Upgrade"); upgrade || e.SpeaksHTTP1() {
		return overConn(ctx, e, method, body, header)
	}
	var reader io.Reader
	if body != "" {
		// Nothing but a stream: it cannot be sent twice.
		reader = io.MultiReader(strings.NewReader(body))
	}
	r, err := http.NewRequestWithContext(ctx, method, e.Scheme()+"://"+e.Host()+e.Path()+"/", reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := e.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, "", nil
	}
	data, err := io.ReadAll(resp.Body)
	return resp, string(data), err
}

// overConn sends a request as the proxy does.
func overConn(ctx context.Context, e *Endpoint, method, body string, header []string) (*http.Response, string, error) {
	i, stop := exchange.InterestOf(ctx)
	defer stop()
	for fresh, stale := false, false; ; fresh = !stale {
		c, err := e.Connect(i, time.Now(), fresh)
		if err != nil {
			return nil, "", err
		}
		resp, text, err := ride(c, e, method, body, header)
		if err == nil {
			c.Release()
			return resp, text, nil
		}
		again := !fresh && c.MaySendAgain(method, body != "")
		stale = c.Stale()
		if c.Drop(); !again {
			return nil, "", err
		}
	}
}

func ride(c *Conn, e *Endpoint, method, body string, header []string) (*http.Response, string, error) {
	c.Out = http1.AppendRequestLine(c.Out[:0], method, e.Path()+"/")
	c.Out = http1.AppendField(c.Out, "Host", e.Host())
	for k := 0; k+1 < len(header); k += 2 {
		c.Out = http1.AppendField(c.Out, header[k], header[k+1])
	}
	c.Out = append(http1.AppendLength(c.Out, int64(len(body))), "\r\n"+body...)
	if err := c.Send(time.Now(), true); err != nil {
		return nil, "", err
	}
	if err := c.ReadHead(method); err != nil {
		return nil, "", err
	}
	resp := &http.Response{StatusCode: c.Head.Status, Header: http.Header{}}
	for k := range c.Head.Fields {
		f := &c.Head.Fields[k]
		resp.Header.Add(string(f.Name.Of(c.Head.Bytes)), string(f.Value.Of(c.Head.Bytes)))
	}
	if c.Head.Status < http.StatusOK {
		return resp, "", nil
	}
	data, err := io.ReadAll(&c.Body)
	return resp, string(data), err
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
