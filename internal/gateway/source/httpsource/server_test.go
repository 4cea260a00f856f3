// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

const bundleA = `{"routes":[{"name":"a","path":"/a","target":"http://127.0.0.1:1"}]}`

// server answers as the test says, and keeps what it was asked.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	handler http.HandlerFunc
	asked   []*http.Request
}

func serve(t *testing.T, start func(*httptest.Server), h http.HandlerFunc) *server {
	t.Helper()
	s := &server{handler: h}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Clone(context.Background()))
		h := s.handler
		s.mu.Unlock()
		h(w, r)
	}))
	start(s.Server)
	t.Cleanup(s.Close)
	return s
}

func plain(t *testing.T, h http.HandlerFunc) *server {
	t.Helper()
	return serve(t, (*httptest.Server).Start, h)
}

func (s *server) set(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

// last gives the newest request, and how many there were.
func (s *server) last() (*http.Request, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[len(s.asked)-1], len(s.asked)
}

func body(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write([]byte(text))
	}
}

// running is a source that runs until the test ends.
type running struct {
	t       *testing.T
	s       *source.Remote
	updates chan source.Update
	cancel  context.CancelFunc
	done    chan error
}

func parse(name string, data []byte) (*config.Bundle, []config.Problem, error) {
	return config.ParseBundle(name, data, config.LoadOptions{Source: "http"})
}

// settings give a provider with an interval that no test waits for.
func settings(t *testing.T, endpoint string) *config.HTTPProvider {
	t.Helper()
	one := 1
	return &config.HTTPProvider{
		Enabled: true, Endpoint: endpoint, Interval: config.Duration(time.Hour), Timeout: config.Duration(patience),
		RetryAttempts: &one, RetryDelay: config.Duration(time.Second), CacheDir: filepath.Join(t.TempDir(), "private", "config.yaml"),
	}
}

func run(t *testing.T, p *config.HTTPProvider) *running {
	t.Helper()
	s, err := New(p, "1.2.3", parse)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, s: s, updates: make(chan source.Update, 1000), cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx, func(u source.Update) { r.updates <- u }) }()
	t.Cleanup(r.stop)
	return r
}

func (r *running) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	if err := <-r.done; err != nil {
		r.t.Errorf("the run ended with %v", err)
	}
}

// next waits for an update.
func (r *running) next() source.Update {
	r.t.Helper()
	select {
	case u := <-r.updates:
		return u
	case <-time.After(patience):
		r.t.Fatal("no update")
		return source.Update{}
	}
}

// refresh has the server asked, and gives the updates that came of it.
func (r *running) refresh() ([]source.Update, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	err := r.s.Refresh(ctx)
	var list []source.Update
	for {
		select {
		case u := <-r.updates:
			list = append(list, u)
		default:
			return list, err
		}
	}
}

func names(u source.Update) string {
	if u.Bundle == nil {
		return "nothing"
	}
	out := ""
	for _, r := range u.Bundle.Routes {
		out += r.Name + " "
	}
	return out
}
