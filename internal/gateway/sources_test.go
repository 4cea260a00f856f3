// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// origin serves a bundle that can be exchanged; nil is an error.
func origin(t *testing.T) (*httptest.Server, *atomic.Pointer[string]) {
	t.Helper()
	var text atomic.Pointer[string]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if b := text.Load(); b != nil {
			_, _ = io.WriteString(w, *b)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	return s, &text
}

// gitRepository is one that git http-backend serves; commit replaces its one file.
func gitRepository(t *testing.T) (url string, commit func(text string)) {
	t.Helper()
	root := t.TempDir()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	git := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir, cmd.Env = root, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main", "r")
	s := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(git("--exec-path"), "git-http-backend"), Dir: root,
		Env: append(env, "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1"), Stderr: new(strings.Builder),
	})
	t.Cleanup(s.Close)
	return s.URL + "/r/.git", func(text string) {
		write(t, filepath.Join(root, "r", "routes.yaml"), text)
		git("-C", "r", "add", "-A")
		git("-C", "r", "commit", "-q", "-m", "change")
	}
}

// All sources name a route same; each has one of its own.
func TestTheSourceOfHigherRankServes(t *testing.T) { // C4
	t.Parallel()
	backend, dir := echo(t, "b"), t.TempDir()
	routes := func(name string) string {
		return routeYAML("same", "/"+name, backend) + routeYAML(name, "/own-"+name, backend)
	}
	web, text := origin(t)
	fromHTTP := bundle(routes("http"))
	text.Store(&fromHTTP)
	repository, commit := gitRepository(t)
	commit(bundle(routes("git")))
	write(t, filepath.Join(dir, "extra", "sub", "a.yaml"), bundle(routes("extra")))
	write(t, filepath.Join(dir, "file", "a.yaml"), bundle(routes("file")))
	path := filepath.Join(dir, "goma.yml")
	settings := fmt.Sprintf(`  extraConfig: {directory: %q}
  providers:
    file: {enabled: true, directory: %q}
    http: {enabled: true, endpoint: %q, cacheDir: %q}
    git: {enabled: true, url: %q, cloneDir: %q}
`, filepath.Join(dir, "extra"), filepath.Join(dir, "file"), web.URL, filepath.Join(dir, "cache.json"), repository, filepath.Join(dir, "clone"))
	ranks := []string{"static", "extra", "file", "http", "git"}
	for i, winner := range ranks {
		switch winner { // those of higher rank go, one after the other
		case "static":
			write(t, path, mainFile(settings, routes("static")))
		case "extra":
			write(t, path, mainFile(settings, ""))
		case "file":
			must(t, os.Remove(filepath.Join(dir, "extra", "sub", "a.yaml")))
		case "http":
			must(t, os.Remove(filepath.Join(dir, "file", "a.yaml")))
		case "git":
			empty := `{"routes":[]}`
			text.Store(&empty)
		}
		r := start(t, Options{ConfigFile: path}).waitReady()
		a := r.until("everything", func(a Applied) bool { return a.Complete })
		r.expect("/"+winner, 200, "b /"+winner)
		for _, own := range ranks[i:] {
			r.expect("/own-"+own, 200, "b /own-"+own)
		}
		conflicts := 0
		for _, p := range a.Problems {
			if p.Reason == config.ReasonConflicted && p.Object.Name == "same" && p.Object.Source != winner {
				conflicts++
			}
		}
		if want := len(ranks) - i - 1; conflicts != want || len(a.Problems) != want {
			t.Errorf("%s: %d conflicts, want %d, of %v", winner, conflicts, want, a.Problems)
		}
		r.end()
	}
}

func TestAPodStartsWithTheLastGoodWhileTheOriginIsAway(t *testing.T) { // B1, S1
	t.Parallel()
	backend, dir := echo(t, "b"), t.TempDir()
	web, text := origin(t)
	path := filepath.Join(dir, "goma.yml")
	write(t, path, mainFile(fmt.Sprintf("  monitoring: {enableMetrics: true}\n  reload: {enabled: true, token: t}\n  providers: {http: {enabled: true, endpoint: %q, cacheDir: %q, retryAttempts: 1, interval: 1h}}\n",
		web.URL, filepath.Join(dir, "cache", "c.json")), routeYAML("static", "/s", backend)))
	// Nothing on disk, and the server is away: not ready, and says why.
	r := start(t, Options{ConfigFile: path})
	r.until("the server missed", func(a Applied) bool { return len(a.Problems) > 0 })
	if code, body := r.get("/readyz"); code != 503 || !strings.Contains(body, "source http") {
		t.Errorf("readyz %d %s", code, body)
	}
	r.expect("/s", 200, "b /s")
	// It comes, and is kept.
	first := bundle(routeYAML("a", "/a", backend))
	text.Store(&first)
	if body := reload(t, r); !strings.Contains(body, `"routes":2`) {
		t.Errorf("reload: %s", body)
	}
	r.waitReady()
	r.expect("/a", 200, "b /a")
	if _, body := r.get("/metrics"); !strings.Contains(body, `gateway_source_stale{source="http"} 0`) {
		t.Errorf("metrics: %s", body)
	}
	r.end()
	// The next process starts while the server is away.
	text.Store(nil)
	r = start(t, Options{ConfigFile: path}).waitReady()
	r.expect("/a", 200, "b /a")
	if _, body := r.get("/metrics"); !strings.Contains(body, `gateway_source_stale{source="http"} 1`) || !strings.Contains(body, `gateway_source_age_seconds{source="http"} `) {
		t.Errorf("metrics: %s", body)
	}
	r.untilLogged("an earlier process received")
}

func reload(t *testing.T, r *running) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+r.at.Admin+"/gateway/reload", nil) //nolint:noctx // a test
	must(t, err)
	req.Header.Set("Authorization", "Bearer t")
	resp, err := r.client.Do(req)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(body)
}

func TestAPushIsLiveAtOnce(t *testing.T) { // S4
	t.Parallel()
	const secret = "canary-of-the-webhook"
	backend, dir := echo(t, "b"), t.TempDir()
	repository, commit := gitRepository(t)
	commit(bundle(routeYAML("a", "/a", backend)))
	path := filepath.Join(dir, "goma.yml")
	write(t, path, mainFile(fmt.Sprintf("  providers: {git: {enabled: true, url: %q, cloneDir: %q, interval: 1h, webhookSecret: %s}}\n",
		repository, filepath.Join(dir, "clone"), secret), ""))
	r := start(t, Options{ConfigFile: path}).waitReady()
	r.expect("/a", 200, "b /a")
	commit(bundle(routeYAML("b", "/b", backend)))
	push := func(address, key string) int {
		sum := hmac.New(sha256.New, []byte(key))
		sum.Write([]byte("{}"))
		req, err := http.NewRequest(http.MethodPost, "http://"+address+"/-/git/webhook", strings.NewReader("{}")) //nolint:noctx // a test
		must(t, err)
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum.Sum(nil)))
		resp, err := r.client.Do(req)
		must(t, err)
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if code := push(r.at.Admin, "somebody else"); code != 401 {
		t.Errorf("a wrong signature gets %d", code)
	}
	if code := push(r.at.Web, secret); code != 404 {
		t.Errorf("on the entry point: %d", code)
	}
	if code := push(r.at.Admin, secret); code != 202 {
		t.Errorf("%d", code)
	}
	r.untilRoutes("b")
	r.expect("/b", 200, "b /b")
	if _, body := r.ask(r.at.Admin, "/config"); strings.Contains(body, secret) || strings.Contains(r.log.String(), secret) { // C8
		t.Error("the secret is told")
	}
}
