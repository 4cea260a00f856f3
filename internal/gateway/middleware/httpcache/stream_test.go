// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// online puts the cache of a rig on a real server.
func (g *rig) online() *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange.Exchange{ClientIP: netip.MustParseAddr("192.0.2.1"), Scheme: "http", Host: r.Host, Path: r.URL.Path}
		g.handler.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	}))
	g.t.(*testing.T).Cleanup(server.Close) //nolint:forcetypeassert // a test
	return server
}

func visit(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func to(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnAnswerStreamsWhileItIsStored(t *testing.T) { // H8, M26
	t.Parallel()
	second := make(chan struct{})
	g := newRig(t, plainRule, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "one\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-second
		_, _ = io.WriteString(w, "two\n")
	})
	defer g.close()
	server := g.online()
	body := bufio.NewReader(visit(t, to(t, server.URL)).Body)
	if line, err := body.ReadString('\n'); line != "one\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	close(second)
	if line, err := body.ReadString('\n'); line != "two\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
		t.Fatalf("%q, %v", rest, err)
	}
	again := visit(t, to(t, server.URL))
	if whole, err := io.ReadAll(again.Body); string(whole) != "one\ntwo\n" || err != nil || again.Header.Get("X-Cache-Status") != "HIT" {
		t.Fatalf("%q, %v, %v", whole, err, again.Header)
	}
}

func TestHalfAnAnswerIsCutForTheClientToo(t *testing.T) { // H11, M26
	t.Parallel()
	g := newRig(t, plainRule, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	defer g.close()
	resp, err := http.DefaultClient.Do(to(t, g.online().URL))
	if err != nil {
		return // not even a head came
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%q ends like a whole answer", body)
	}
}

func TestTrailersAndEarlyHeadsPass(t *testing.T) { // H8
	t.Parallel()
	g := newRig(t, plainRule, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "body")
		_ = http.NewResponseController(w).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Late", "5")
	})
	defer g.close()
	hints := ""
	r := to(t, g.online().URL)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		hints = h.Get("Link")
		return nil
	}}))
	resp := visit(t, r)
	body, err := io.ReadAll(resp.Body)
	if string(body) != "body" || err != nil || resp.Trailer.Get("X-Late") != "5" || hints != "</a.css>" || resp.Header.Get("Link") != "" {
		t.Errorf("%q, %v, %v, %q, %v", body, err, resp.Trailer, hints, resp.Header)
	}
}
