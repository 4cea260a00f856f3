// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

func TestAShutdownCutsNothing(t *testing.T) { // E1
	t.Parallel()
	entered, finish := make(chan struct{}), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-finish
		}
		_, _ = io.WriteString(w, "done")
	}))
	defer backend.Close()
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("", routeYAML("a", "/", backend.URL)))
	delay := 300 * time.Millisecond
	r := start(t, Options{ConfigFile: path, DrainDelay: &delay}).waitReady()
	var slow sync.WaitGroup
	slow.Go(func() {
		if code, body := r.get("/slow"); code != 200 || body != "done" {
			t.Errorf("the request that ran got %d %q", code, body)
		}
	})
	<-entered
	r.stop()
	// Not ready at once, and still serving, also on a new connection.
	fresh := &running{t: t, at: r.at, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	for {
		code, body := fresh.get("/readyz")
		if code == 200 {
			continue // the context has ended just now
		}
		if status, _ := probe(t, body); code != 503 || status != "draining" {
			t.Errorf("readyz %d %s", code, body)
		}
		break
	}
	fresh.expect("/", 200, "done")
	// When nobody is taken in any more, the slow one still runs.
	for {
		conn, err := net.Dial("tcp", r.at.Web) //nolint:noctx // a test
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case <-r.done:
		t.Error("the gateway ended before its last request")
	default:
	}
	close(finish)
	slow.Wait()
	<-r.done
	if r.err != nil {
		t.Errorf("Run returned %v", r.err)
	}
}

func TestARequestThatNeverEndsDoesNotHoldTheProcess(t *testing.T) { // E1
	t.Parallel()
	entered := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	defer backend.Close()
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("", routeYAML("a", "/", backend.URL)))
	r := start(t, Options{ConfigFile: path, GracePeriod: 50 * time.Millisecond}).waitReady()
	var slow sync.WaitGroup
	slow.Go(func() {
		resp, err := r.client.Get("http://" + r.at.Web + "/")
		if err == nil {
			_ = resp.Body.Close()
		}
	})
	<-entered
	r.end()
	slow.Wait()
}

func TestWhatCannotStartSaysWhy(t *testing.T) { // C1, S1
	t.Parallel()
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	must(t, err)
	defer taken.Close() //nolint:errcheck // a test
	file := func(settings string) Options {
		path := filepath.Join(t.TempDir(), "goma.yml")
		write(t, path, mainFile(settings, ""))
		return Options{ConfigFile: path, Web: "127.0.0.1:0", WebSecure: None, Admin: None}
	}
	busy := file("")
	busy.Web = taken.Addr().String()
	for want, o := range map[string]Options{
		"no configuration file":           {},
		filepath.Join(dir, "nowhere"):     {ConfigFile: filepath.Join(dir, "nowhere")},
		"gateway.providers.http.endpoint": file("  providers: {http: {enabled: true, endpoint: \"file:///x/\"}}\n"),
		"gateway.providers.git.url":       file("  providers: {git: {enabled: true, url: \"file:///x/y\"}}\n"),
		taken.Addr().String():             busy,
	} {
		o.LogWriter = io.Discard
		if err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want it to name %s", err, want)
		}
	}
}

func TestTheDefaultAdminAddressMayBeTaken(t *testing.T) {
	t.Parallel()
	o := Options{File: &config.File{}, LogWriter: io.Discard}
	g, err := assemble(o)
	must(t, err)
	defer g.log.Close()
	defer g.listeners.close()
	must(t, g.listenAdmin(""))
	second, err := assemble(o)
	must(t, err)
	defer second.log.Close()
	defer second.listeners.close()
	if err := second.listenAdmin(""); err != nil {
		t.Errorf("the second gateway of a machine does not start: %v", err)
	}
	if g.listeners.admin != nil { // unless somebody else has the port
		if err := second.listenAdmin("127.0.0.2:99999"); err == nil {
			t.Error("an address that somebody asked for and cannot be had is no error")
		}
	}
}

func TestDrainTimesComeFromOptionsThenTheEnvironment(t *testing.T) {
	t.Setenv(envDrainDelay, "5s")
	t.Setenv(envGracePeriod, "58")
	delay, grace, err := drainTimes(Options{})
	if delay != 5*time.Second || grace != 58*time.Second || err != nil {
		t.Errorf("%v %v %v", delay, grace, err)
	}
	none := time.Duration(0)
	if delay, grace, _ = drainTimes(Options{DrainDelay: &none, GracePeriod: time.Second}); delay != 0 || grace != time.Second {
		t.Errorf("%v %v", delay, grace)
	}
	t.Setenv(envDrainDelay, "soon")
	if _, _, err := drainTimes(Options{}); err == nil || !strings.Contains(err.Error(), envDrainDelay) {
		t.Errorf("%v", err)
	}
}

// erratic is a source that fails, and then panics.
type erratic struct {
	*source.Memory
	runs int
}

func (e *erratic) Run(ctx context.Context, publish func(source.Update)) error {
	e.runs++
	switch e.runs {
	case 1:
		return fmt.Errorf("no luck")
	case 2:
		panic("boom")
	}
	return e.Memory.Run(ctx, publish)
}

func TestASourceThatFailsIsRunAgain(t *testing.T) { // S1, E5
	t.Parallel()
	e := &erratic{Memory: source.NewMemory("erratic", config.SourceKubernetes)}
	e.Publish(source.Update{Bundle: &config.Bundle{}})
	r := start(t, Options{File: &config.File{}, Sources: []source.Source{e}})
	r.until("the error", func(a Applied) bool {
		return len(a.Problems) == 1 && strings.Contains(a.Problems[0].Message, "no luck")
	})
	r.waitReady()
	if text := r.log.String(); !strings.Contains(text, "boom") {
		t.Errorf("the panic is not in the log:\n%s", text)
	}
}

func TestMetricsAndExplanationOfALiveGateway(t *testing.T) { // R6, B1, B3
	t.Parallel()
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("  monitoring: {enableMetrics: true}\n", routeYAML("shop", "/shop", echo(t, "b"))))
	r := start(t, Options{ConfigFile: path}).waitReady()
	r.expect("/shop/x", 200, "b /shop/x")
	r.expect("/none", 404, "")
	for _, address := range []string{r.at.Web, r.at.Admin} {
		code, body := r.ask(address, "/metrics")
		if code != 200 || !strings.Contains(body, `gateway_requests_total{method="GET",name="shop"} 1`) ||
			!strings.Contains(body, "gateway_routes_count 1") {
			t.Errorf("%d %s", code, body)
		}
	}
	if code, body := r.ask(r.at.Admin, "/routes?url=http://h/shop/1"); code != 200 || !strings.Contains(body, `"route":"shop"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, body := r.ask(r.at.Admin, "/config"); code != 200 || !strings.Contains(body, `"name":"shop"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := r.ask(r.at.Admin, "/shop"); code != 404 {
		t.Errorf("a route on the admin listener: %d", code)
	}
	r.end()
	log := r.log.String()
	for _, want := range []string{"route=shop", "reason=no_route", "msg=\"configuration applied\"", "msg=stopped"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in\n%s", want, log)
		}
	}
}
