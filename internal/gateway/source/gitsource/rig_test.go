// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// repository is a bare one, and a working copy to change it with.
type repository struct {
	t         *testing.T
	bare, dir string
}

// environment keeps the user's settings out.
func environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("git is missing: install the package git")
	}
	root := t.TempDir()
	r := &repository{t: t, bare: filepath.Join(root, "r.git"), dir: filepath.Join(root, "work")}
	r.run(root, "init", "-q", "--bare", "-b", "main", r.bare)
	r.run(root, "init", "-q", "-b", "main", r.dir)
	r.run(r.dir, "remote", "add", "origin", r.bare)
	return r
}

func (r *repository) run(dir string, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir, cmd.Env = dir, environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repository) git(args ...string) string { r.t.Helper(); return r.run(r.dir, args...) }

func (r *repository) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	check(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(r.t, os.WriteFile(path, []byte(text), 0o644))
}

// push commits everything and gives the commit.
func (r *repository) push(args ...string) string {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", "change")
	r.git(append([]string{"push", "-q", "origin", "HEAD"}, args...)...)
	return r.git("rev-parse", "HEAD")
}

func route(name string) string {
	return fmt.Sprintf("routes:\n  - name: %s\n    path: /%s\n    target: http://127.0.0.1:1\n", name, name)
}

// server is git http-backend behind a Go server.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	check func(w http.ResponseWriter, r *http.Request) bool
	asked []string
}

func serve(t *testing.T, repo *repository) *server {
	t.Helper()
	execPath := repo.run(repo.bare, "--exec-path")
	backend := &cgi.Handler{
		Path: filepath.Join(execPath, "git-http-backend"), Dir: repo.bare,
		Env: append(environment(), "GIT_PROJECT_ROOT="+filepath.Dir(repo.bare), "GIT_HTTP_EXPORT_ALL=1"),
		// What the program says of connections that end early.
		Stderr: new(strings.Builder),
	}
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		check := s.check
		s.mu.Unlock()
		if check != nil && !check(w, r) {
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) set(check func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check = check
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
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
	return config.ParseBundle(name, data, config.LoadOptions{Source: "git"})
}

func settings(t *testing.T, url string) *config.GitProvider {
	t.Helper()
	return &config.GitProvider{
		Enabled: true, URL: url, Branch: "main", Interval: config.Duration(time.Hour), CloneDir: filepath.Join(t.TempDir(), "clone"),
	}
}

func run(t *testing.T, p *config.GitProvider) *running {
	t.Helper()
	s, err := New(p, "1.2.3", parse)
	check(t, err)
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

// refresh has the server asked, and gives the last of the updates that came of it.
func (r *running) refresh() (last source.Update, count int, err error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	err = r.s.Refresh(ctx)
	for {
		select {
		case last = <-r.updates:
			count++
		default:
			return last, count, err
		}
	}
}

// expect has the server asked and the routes be those.
func (r *running) expect(want string) source.Update {
	r.t.Helper()
	u, n, err := r.refresh()
	if err != nil || n != 1 || names(u) != want {
		r.t.Fatalf("%d updates, routes %q, want %q, error %v, problems %v", n, names(u), want, err, u.Problems)
	}
	return u
}

func names(u source.Update) string {
	if u.Bundle == nil {
		return "nothing"
	}
	var list []string
	for _, r := range u.Bundle.Routes {
		list = append(list, r.Name)
	}
	return strings.Join(list, " ")
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
