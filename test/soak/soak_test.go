// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

// Package soak has the gateway's program, built with the race detector, serve clients
// of every kind while its routes change all the time: clients that leave, that are
// slow, backends that die, WebSockets and streams that stay. No answer is one that the
// routes do not explain, and at the end nothing is left. GOMA_SOAK says for how long.
package soak

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, "goma-gateway", &binary, "-race")) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const static = `version: 2
gateway:
  log: {level: info, accessSample: 0}
  monitoring: {enablePprof: true}
  timeouts: {read: 30, write: 30, idle: 2}
  networking: {transport: {idleConnTimeout: 2}}
%s%s  routes:
    - {name: steady, path: /steady, target: %[3]q}
    - {name: steady2, path: /over-h2c, rewrite: /steady, target: %[4]q}
    - {name: dying, path: /dying, target: %[5]q}
%[6]smiddlewares:
  - {name: login, type: basic, paths: [/*], rule: {users: [{username: a, password: b}]}}
`

// configured is the main file of a step. Routes come, change and go; every third file
// is none.
func configured(step int, b *backends) (text string, valid bool) {
	var more strings.Builder
	for i := range 5 {
		if (step+i)%4 == 0 {
			continue
		}
		guard := ""
		if (step+i)%5 == 0 {
			guard = ", middlewares: [login]"
		}
		fmt.Fprintf(&more, "    - {name: flip%d, path: /flip/%d, rewrite: /steady, target: %q%s}\n", i, i, b.plain, guard)
	}
	text = fmt.Sprintf(static, program.Listen, program.Reload, b.plain, b.h2c, b.dying, more.String())
	if step%3 == 2 {
		return text + "\n  broken: [", false
	}
	return text, true
}

// watch collects what is not as it should be.
type watch struct {
	mu sync.Mutex

	answers map[string]int
	wrong   []string
}

func (w *watch) saw(kind string, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[fmt.Sprintf("%s %d", kind, status)]++
}

func (w *watch) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) < 20 {
		w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
	}
}

func TestSoak(t *testing.T) {
	long := 20 * time.Second
	if text := os.Getenv("GOMA_SOAK"); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		must(t, err)
	}
	b := startBackends(t)
	text, _ := configured(0, b)
	g := program.Serve(t, binary, text)
	start := measure(t, g)
	w := &watch{answers: map[string]int{}}
	ctx, stop := context.WithTimeout(t.Context(), long)
	defer stop()
	var group sync.WaitGroup
	for _, c := range clients(g) {
		group.Go(func() { c(ctx, w) })
	}
	for step := 1; ctx.Err() == nil; step++ {
		reload(t, g, b, w, step)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	group.Wait()
	t.Logf("answers: %v", w.answers)
	for _, text := range w.wrong {
		t.Error(text)
	}
	http.DefaultClient.CloseIdleConnections()
	var end state
	for deadline := time.Now().Add(2 * program.Patience); ; time.Sleep(200 * time.Millisecond) {
		if end = measure(t, g); end.near(start) || time.Now().After(deadline) {
			break
		}
	}
	if t.Logf("at the begin %+v, at the end %+v", start, end); !end.near(start) {
		t.Errorf("something is left:\n%s", debug(t, g, "goroutine?debug=1"))
	}
}

func reload(t *testing.T, g *program.Gateway, b *backends, w *watch, step int) {
	t.Helper()
	text, valid := configured(step, b)
	g.Configure(t, text)
	if code, body := g.Reload(t); (code == http.StatusOK) != valid || code != http.StatusOK && code != http.StatusInternalServerError {
		w.fault("step %d (valid: %v): the reload answers %d %s", step, valid, code, body)
	}
}

// state is what a process holds.
type state struct{ goroutines, files, heap int }

func (s state) near(other state) bool {
	const some = 12
	return s.goroutines <= other.goroutines+some && s.files <= other.files+some && s.heap <= other.heap+(16<<20)
}

var (
	total = regexp.MustCompile(`goroutine profile: total (\d+)`)
	alive = regexp.MustCompile(`# HeapAlloc = (\d+)`)
)

func measure(t *testing.T, g *program.Gateway) (s state) {
	t.Helper()
	s.heap = number(t, alive, debug(t, g, "heap?gc=1&debug=1"))
	s.goroutines = number(t, total, debug(t, g, "goroutine?debug=1"))
	s.files = g.Files(t)
	return s
}

func number(t *testing.T, from *regexp.Regexp, text string) int {
	t.Helper()
	m := from.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("there is no %s in\n%.300s", from, text)
	}
	n, err := strconv.Atoi(m[1])
	must(t, err)
	return n
}

func debug(t *testing.T, g *program.Gateway, what string) string {
	t.Helper()
	resp, err := http.Get("http://" + g.Admin + "/debug/pprof/" + what)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(text)
}
