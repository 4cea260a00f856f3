// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
	"gateway.jkaninda.dev/goma/internal/wire"
)

func TestTheMainFileIsFollowed(t *testing.T) { // D1, C4
	t.Parallel()
	backend := echo(t, "b")
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("", routeYAML("a", "/a", backend)))
	r := start(t, Options{ConfigFile: path}).waitReady()
	r.untilRoutes("a")
	r.expect("/a/x", 200, "b /a/x")
	r.expect("/b", 404, "404 page not found")

	write(t, path, mainFile("  log: {level: debug}\n", routeYAML("a", "/a", backend)+routeYAML("b", "/b", backend)))
	r.untilRoutes("a", "b")
	r.expect("/b", 200, "b /b")

	write(t, path, "gateway: [")
	r.until("a problem of the file", func(a Applied) bool { return object(a.Problems, path) != nil })
	r.expect("/a", 200, "b /a")

	write(t, path, mainFile("  networking: {transport: {maxIdleConns: 7}}\n", routeYAML("c", "/c", backend)))
	a := r.untilRoutes("c")
	if len(a.Problems) != 1 || a.Problems[0].Field != "gateway.networking" || a.Problems[0].Severity != config.SeverityWarning {
		t.Errorf("problems %v", a.Problems)
	}
	r.expect("/a", 404, "")
}

func TestAMainFileInAVolumeOfKubernetesIsFollowed(t *testing.T) {
	t.Parallel()
	backend, dir := echo(t, "b"), t.TempDir()
	swap := func(version, text string) {
		write(t, filepath.Join(dir, ".."+version, "goma.yml"), text)
		must(t, os.Symlink(".."+version, filepath.Join(dir, "..tmp")))
		must(t, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
	}
	swap("1", mainFile("", routeYAML("a", "/", backend)))
	must(t, os.Symlink("..data/goma.yml", filepath.Join(dir, "goma.yml")))
	r := start(t, Options{ConfigFile: filepath.Join(dir, "goma.yml")}).waitReady()
	r.untilRoutes("a")
	swap("2", mainFile("", routeYAML("b", "/", backend)))
	r.untilRoutes("b")
}

func TestReadinessWaitsForEverySource(t *testing.T) { // B1, S1
	t.Parallel()
	backend, dir := echo(t, "b"), filepath.Join(t.TempDir(), "routes")
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile(fmt.Sprintf("  providers: {file: {enabled: true, directory: %q, watch: true}}\n", dir), routeYAML("static", "/s", backend)))
	r := start(t, Options{ConfigFile: path})
	// The source may have answered before the first configuration, or after it.
	a := r.until("the directory missed", func(a Applied) bool { return len(a.Routes) == 1 && len(a.Problems) > 0 })
	if a.Complete {
		t.Error("complete without the directory")
	}
	for _, address := range []string{r.at.Web, r.at.Admin} {
		code, body := r.ask(address, "/readyz")
		if status, reason := probe(t, body); code != 503 || status != "starting" || !strings.Contains(reason, "source file") {
			t.Errorf("readyz %d %s", code, body)
		}
		if code, _ := r.ask(address, "/healthz"); code != 200 {
			t.Errorf("healthz %d", code)
		}
	}
	r.expect("/s", 200, "b /s")
	r.expect("/a", 503, "starting")
	write(t, filepath.Join(dir+".new", "a.yaml"), bundle(routeYAML("a", "/a", backend)))
	must(t, os.Rename(dir+".new", dir)) // an empty directory would be an empty bundle
	r.waitReady()
	if code, _ := r.get("/readyz"); code != 200 {
		t.Errorf("readyz %d", code)
	}
	r.expect("/a", 200, "b /a")
	r.untilLogged("problem solved")
}

func TestABrokenFileOfASourceKeepsItsRoutes(t *testing.T) { // S2, C4
	t.Parallel()
	backend, dir := echo(t, "b"), t.TempDir()
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, filepath.Join(dir, "a.yaml"), bundle(routeYAML("a", "/a", backend)))
	write(t, path, mainFile(fmt.Sprintf("  providers: {file: {enabled: true, directory: %q, watch: true}}\n", dir), ""))
	r := start(t, Options{ConfigFile: path}).waitReady()
	write(t, filepath.Join(dir, "a.yaml"), "routes: [")
	r.until("a problem", func(a Applied) bool { return object(a.Problems, filepath.Join(dir, "a.yaml")) != nil })
	r.expect("/a", 200, "b /a")
	write(t, filepath.Join(dir, "b.yaml"), bundle(routeYAML("b", "/b", backend)+routeYAML("bad", "/x/{y}z", backend)))
	a := r.untilRoutes("a", "b")
	if p := object(a.Problems, "bad"); p == nil || p.Object.Source != "file" {
		t.Errorf("problems %v", a.Problems)
	}
	r.expect("/b", 200, "b /b")
	must(t, os.Remove(filepath.Join(dir, "b.yaml")))
	must(t, os.Remove(filepath.Join(dir, "a.yaml")))
	r.untilRoutes()
	r.expect("/a", 404, "")
}

func TestTheSidecarIsAnsweredWithWhatIsLive(t *testing.T) { // K5, O8
	t.Parallel()
	backend, dir := echo(t, "b"), t.TempDir()
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile(fmt.Sprintf("  providers: {file: {enabled: true, directory: %q, watch: true, indexed: true}}\n", dir), ""))
	r := start(t, Options{ConfigFile: path})
	w, err := wire.NewWriter(dir)
	must(t, err)
	t.Cleanup(func() { _ = w.Close() })
	if code, _ := r.get("/readyz"); code != 503 {
		t.Errorf("ready before the first commit: %d", code)
	}
	generation, err := w.Commit(wire.Change{Complete: true, Set: []wire.Object{
		{Route: &config.Route{Name: "a", Path: "/a", Target: backend}},
		{Route: &config.Route{Name: "lost", Path: "/l", Target: backend, Middlewares: []string{"nobody"}}},
		{Route: &config.Route{Name: "bad", Path: "/x/{y}z", Target: backend}},
	}})
	must(t, err)
	r.waitReady()
	r.expect("/a", 200, "b /a")
	r.expect("/l", 503, "nobody")
	answer := waitAnswer(t, dir, func(a *wire.Answer) bool { return a.Generation == generation })
	if answer.Checksum != w.Checksum() || answer.Routes != 2 || object(answer.Problems, "lost") == nil || object(answer.Problems, "bad") == nil {
		t.Errorf("answer %+v", answer)
	}
	generation, err = w.Commit(wire.Change{Complete: true, Delete: []wire.Key{{Kind: wire.KindRoute, Name: "bad"}, {Kind: wire.KindRoute, Name: "lost"}}})
	must(t, err)
	answer = waitAnswer(t, dir, func(a *wire.Answer) bool { return a.Generation == generation })
	if answer.Routes != 1 || len(answer.Problems) != 0 {
		t.Errorf("answer %+v", answer)
	}
}

func waitAnswer(t *testing.T, dir string, fits func(*wire.Answer) bool) *wire.Answer {
	t.Helper()
	w := source.NewWatcher()
	defer w.Close()
	deadline := time.After(patience)
	for {
		w.Watch([]string{wire.AnswerDir(dir)})
		if a, err := wire.ReadAnswer(dir); err == nil && fits(a) {
			return a
		}
		select {
		case <-w.Changed():
		case <-deadline:
			t.Fatal("no answer")
		}
	}
}

func TestOfABurstTheNewestWins(t *testing.T) { // D4
	t.Parallel()
	backend := echo(t, "b")
	m := source.NewMemory("up", config.SourceKubernetes)
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("", ""))
	r := start(t, Options{ConfigFile: path, Sources: []source.Source{m}})
	const burst = 2000
	for i := range burst {
		m.Publish(source.Update{Bundle: &config.Bundle{Routes: []*config.Route{{Name: fmt.Sprint("r", i), Path: "/", Target: backend}}}})
	}
	r.waitReady()
	last := r.untilRoutes(fmt.Sprint("r", burst-1))
	if last.Number > burst/2 {
		t.Errorf("%d configurations were applied for a burst of %d", last.Number, burst)
	}
	same := &config.Bundle{Routes: []*config.Route{{Name: fmt.Sprint("r", burst-1), Path: "/", Target: backend}}}
	m.Publish(source.Update{Bundle: same})
	m.Publish(source.Update{Bundle: &config.Bundle{Routes: append(same.Routes, &config.Route{Name: "z", Path: "/z", Target: backend})}})
	if a := r.untilRoutes(fmt.Sprint("r", burst-1), "z"); a.Number > last.Number+3 {
		t.Errorf("number %d after %d", a.Number, last.Number)
	}
}

func TestTheReloadEndpointReadsEverythingAgain(t *testing.T) { // D4
	t.Parallel()
	backend, dir := echo(t, "b"), t.TempDir()
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, filepath.Join(dir, "a.yaml"), bundle(routeYAML("a", "/a", backend)))
	write(t, path, mainFile(fmt.Sprintf("  reload: {enabled: true, token: canary}\n  extraConfig: {directory: %q}\n", dir), ""))
	r := start(t, Options{ConfigFile: path}).waitReady()
	r.untilRoutes("a")
	write(t, filepath.Join(dir, "b.yaml"), bundle(routeYAML("b", "/b", backend)))
	reload := func() (int, string) {
		req, err := http.NewRequest(http.MethodPost, "http://"+r.at.Web+"/gateway/reload", nil) //nolint:noctx // a test
		must(t, err)
		req.Header.Set("Authorization", "Bearer canary")
		resp, err := r.client.Do(req)
		must(t, err)
		defer resp.Body.Close() //nolint:errcheck // a test
		buf := make([]byte, 4096)
		n, _ := resp.Body.Read(buf)
		return resp.StatusCode, string(buf[:n])
	}
	if code, body := reload(); code != 200 || !strings.Contains(body, `"routes":2,"status":"ok"`) {
		t.Errorf("%d %s", code, body)
	}
	r.expect("/b", 200, "b /b") // live when the answer comes
	write(t, path, "gateway: [")
	if code, body := reload(); code != 500 || !strings.Contains(body, `"status":"error"`) {
		t.Errorf("%d %s", code, body)
	}
	r.expect("/b", 200, "b /b")
	if strings.Contains(r.log.String(), "canary") {
		t.Error("the token is in the log")
	}
}

func TestReloadsUnderLoadLoseNothing(t *testing.T) { // D1, D5, U1
	t.Parallel()
	backend, other := echo(t, "b"), echo(t, "c")
	m := source.NewMemory("up", config.SourceKubernetes)
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("  log: {level: error}\n", routeYAML("static", "/static", backend)))
	steady := &config.Route{Name: "steady", Path: "/steady", Target: backend}
	publish := func(i int) {
		target := backend
		if i%2 == 1 {
			target = other
		}
		edited := &config.Route{Name: "edited", Path: "/edited", Target: target}
		extra := &config.Route{Name: fmt.Sprint("extra", i), Path: fmt.Sprint("/extra/", i), Target: backend}
		routes := []*config.Route{steady, edited, extra}
		if i%3 == 0 { // every third has an invalid route, and another order
			extra.Path = "/{broken"
			routes = []*config.Route{extra, edited, steady}
		}
		m.Publish(source.Update{Bundle: &config.Bundle{Routes: routes}})
	}
	publish(0)
	r := start(t, Options{ConfigFile: path, Sources: []source.Source{m}}).waitReady()
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				p := []string{"/steady", "/edited", "/static"}[n%3]
				if code, body := r.get(p); code != 200 || !strings.HasSuffix(body, p) {
					t.Errorf("%s: %d %s", p, code, body)
					return
				}
			}
		})
	}
	const reloads = 1000
	for i := 1; i <= reloads; i++ {
		publish(i)
		want := 3
		if i%3 == 0 {
			want = 2
		}
		r.until(fmt.Sprint("reload ", i), func(a Applied) bool { return len(a.Routes) == want+1 })
	}
	close(stop)
	clients.Wait()
}
