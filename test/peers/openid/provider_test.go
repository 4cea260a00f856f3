// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

// Package openid tests the oauth middleware against the OpenID provider of
// zitadel/oidc, which is certified, and runs within the test. It needs nothing that
// is not a Go module.
package openid

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

const (
	clientID     = "shop"
	clientSecret = "the secret of the shop"
	user         = "test-user@127.0.0.1"
	password     = "verysecure"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the provider tells of every request
	os.Exit(m.Run())
}

// provider is an OpenID provider with one client and its users.
type provider struct {
	*httptest.Server

	t  *testing.T
	op atomic.Pointer[http.Handler]
	mu sync.Mutex
	// grants count the calls of the token endpoint by grant type.
	grants map[string]int
	// expired makes access tokens that have expired when they come.
	expired atomic.Bool
}

// newProvider starts one whose client is sent back to the address.
func newProvider(t *testing.T, redirectURL string) *provider {
	t.Helper()
	p := &provider{t: t, grants: map[string]int{}}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	p.restart(redirectURL)
	return p
}

// restart is a provider that has lost its memory and its keys.
func (p *provider) restart(redirectURL string) {
	clients := map[string]*storage.Client{clientID: storage.WebClient(clientID, clientSecret, redirectURL)}
	var op http.Handler = exampleop.SetupServer(p.URL, storage.NewStorageWithClients(storage.NewUserStore(p.URL), clients), nil, false)
	p.op.Store(&op)
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	op := *p.op.Load()
	if r.URL.Path != "/oauth/token" {
		op.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Error(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		p.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	inner := httptest.NewRecorder()
	op.ServeHTTP(inner, r)
	p.mu.Lock()
	p.grants[form.Get("grant_type")]++
	p.mu.Unlock()
	answer := inner.Body.Bytes()
	if p.expired.Load() && inner.Code == http.StatusOK {
		answer = p.aged(answer)
	}
	for name, values := range inner.Header() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(inner.Code)
	_, _ = w.Write(answer)
}

// aged says that the access token of an answer has expired: the clock of the
// provider is the only thing about it that the test does not leave alone.
func (p *provider) aged(answer []byte) []byte {
	var all map[string]any
	if err := json.Unmarshal(answer, &all); err != nil {
		p.t.Error(err)
	}
	all["expires_in"] = -1
	out, err := json.Marshal(all)
	if err != nil {
		p.t.Error(err)
	}
	return out
}

func (p *provider) count(grant string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grants[grant]
}
