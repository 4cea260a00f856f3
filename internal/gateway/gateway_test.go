// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// running is a gateway in this process.
type running struct {
	t       *testing.T
	at      Addresses
	log     *logBuffer
	applied chan Applied
	stop    context.CancelFunc
	done    chan struct{}
	err     error
	client  *http.Client
	ready   chan Addresses
}

// start runs a gateway on free ports until the test ends. It does not wait until
// the gateway is ready.
func start(t *testing.T, o Options) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{
		t: t, log: &logBuffer{}, applied: make(chan Applied, 10_000), stop: stop, done: make(chan struct{}), ready: make(chan Addresses, 1),
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}
	o.LogWriter = r.log
	o.OnApply = func(a Applied) { r.applied <- a }
	o.Ready = func(a Addresses) { r.ready <- a }
	o.WebSecure = or(o.WebSecure, None)
	o.Web, o.Admin = or(o.Web, "127.0.0.1:0"), or(o.Admin, "127.0.0.1:0")
	g, err := assemble(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.listen(); err != nil {
		t.Fatal(err)
	}
	r.at = g.listeners.addresses()
	go func() {
		defer close(r.done)
		defer g.log.Close()
		defer g.tracer.Close()
		r.err = g.run(ctx)
	}()
	t.Cleanup(r.end)
	return r
}

// end stops the gateway and waits for it.
func (r *running) end() {
	r.stop()
	r.client.CloseIdleConnections()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.t.Error("the gateway does not end")
	}
}

func (r *running) waitReady() *running {
	r.t.Helper()
	select {
	case <-r.ready:
	case <-time.After(patience):
		r.t.Fatalf("not ready:\n%s", r.log)
	}
	return r
}

// until waits for a configuration that fits.
func (r *running) until(what string, fits func(Applied) bool) Applied {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case a := <-r.applied:
			if fits(a) {
				return a
			}
		case <-deadline:
			r.t.Fatalf("no configuration with %s:\n%s", what, r.log)
		}
	}
}

// untilLogged waits for a line of the log, which is written aside.
func (r *running) untilLogged(text string) {
	r.t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(r.log.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("the log does not say %q:\n%s", text, r.log)
		}
	}
}

// untilRoutes waits until exactly the named routes are live.
func (r *running) untilRoutes(names ...string) Applied {
	r.t.Helper()
	return r.until(fmt.Sprint("routes ", names), func(a Applied) bool {
		var live []string
		for _, x := range a.Routes {
			live = append(live, x.Name)
		}
		return fmt.Sprint(live) == fmt.Sprint(names)
	})
}

// get asks the entry point web.
func (r *running) get(path string) (status int, body string) { return r.ask(r.at.Web, path) }

// ask gives status 0 and the error for a request that failed.
func (r *running) ask(address, path string) (status int, body string) {
	resp, err := r.client.Get("http://" + address + path)
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

func (r *running) expect(path string, status int, body string) {
	r.t.Helper()
	if s, b := r.get(path); s != status || !strings.Contains(b, body) {
		r.t.Errorf("GET %s: %d %q, want %d %q", path, s, b, status, body)
	}
}

// logBuffer keeps the log.
type logBuffer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// echo is a backend that answers with its name and the path.
func echo(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s", name, r.URL.Path)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// write replaces a file at once.
func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o750))
	must(t, os.WriteFile(path+".tmp", []byte(text), 0o600))
	must(t, os.Rename(path+".tmp", path))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// routeYAML is one entry of a list of routes.
func routeYAML(name, path, target string, more ...string) string {
	return fmt.Sprintf("- {name: %s, path: %q, target: %q%s}\n", name, path, target, strings.Join(more, ""))
}

func mainFile(settings, routes string) string {
	text := "version: 2\ngateway:\n" + settings + "  routes:"
	if routes == "" {
		return text + " []\n"
	}
	return text + "\n" + indent(routes)
}

func bundle(routes string) string {
	if routes == "" {
		return "routes: []\n"
	}
	return "routes:\n" + indent(routes)
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}

func object(problems []config.Problem, name string) *config.Problem {
	for i := range problems {
		if problems[i].Object.Name == name {
			return &problems[i]
		}
	}
	return nil
}

func probe(t *testing.T, body string) (status, reason string) {
	t.Helper()
	var b struct{ Status, Error string }
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return b.Status, b.Error
}
