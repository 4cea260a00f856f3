// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var script = store.NewScript("return {1, 2}")

func open(t *testing.T, settings *config.Redis, o Options) *Store {
	t.Helper()
	s, err := New(settings, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// eventually repeats a call until it works, which on a busy machine may take more
// than the time of one call.
func eventually(t *testing.T, s *Store, call func() error) {
	t.Helper()
	for range 1000 {
		s.breaker.retry.Store(0)
		if call() == nil {
			return
		}
	}
	s.breaker.retry.Store(0)
	t.Fatal(call())
}

func TestEveryKeyStartsWithThePrefixOfTheGateway(t *testing.T) { // M22
	t.Parallel()
	for prefix, want := range map[string]string{"": "goma:", "goma:shop/edge:": "goma:shop/edge:"} {
		server := newServer(t, func(command []string) string {
			switch strings.ToLower(command[0]) {
			case "get":
				return "$1\r\nv\r\n"
			case "evalsha":
				return "*2\r\n:1\r\n:2\r\n"
			case "del":
				return ":1\r\n"
			}
			return ok
		})
		s := open(t, &config.Redis{Addr: server.addr(), KeyPrefix: prefix}, Options{})
		eventually(t, s, func() error { _, _, err := s.Get(t.Context(), "a"); return err })
		eventually(t, s, func() error { return s.Set(t.Context(), "a", []byte("v"), time.Second) })
		eventually(t, s, func() error { return s.Delete(t.Context(), "a", "b") })
		eventually(t, s, func() error { _, err := s.Eval(t.Context(), script, []string{"a"}, 7); return err })
		for name, at := range map[string]int{"get": 1, "set": 1, "del": 2, "evalsha": 3} {
			calls := server.seen(name)
			if len(calls) == 0 || !strings.HasPrefix(calls[0][at], want) {
				t.Errorf("%s: %q", name, calls)
			}
		}
	}
}

func TestAScriptThatRedisForgotIsSentAgain(t *testing.T) { // M22
	t.Parallel()
	server := newServer(t, func(command []string) string {
		switch strings.ToLower(command[0]) {
		case "evalsha":
			return "-NOSCRIPT No matching script.\r\n"
		case "eval":
			return "*2\r\n:1\r\n:2\r\n"
		}
		return ok
	})
	s := open(t, &config.Redis{Addr: server.addr()}, Options{})
	var numbers []int64
	eventually(t, s, func() (err error) { numbers, err = s.Eval(t.Context(), script, []string{"k"}); return err })
	if len(numbers) != 2 || numbers[1] != 2 {
		t.Errorf("%v", numbers)
	}
	if sent := server.seen("eval"); sent[len(sent)-1][1] != script.Source() {
		t.Errorf("%q", sent)
	}
}

func TestAStoreThatIsAwayIsLeftAloneUntilItIsBack(t *testing.T) { // M23
	t.Parallel()
	var away atomic.Bool
	away.Store(true)
	server := newServer(t, func(command []string) string {
		switch {
		case away.Load():
			return ""
		case strings.EqualFold(command[0], "get"):
			return "$1\r\nv\r\n"
		}
		return ok
	})
	var log bytes.Buffer
	counters := counter.New()
	s := open(t, &config.Redis{Addr: server.addr(), Password: "hush"}, Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Counters: counters})
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	s.breaker.now = func() time.Time { return time.Unix(0, now.Load()) }
	get := func() error { _, _, err := s.Get(t.Context(), "a"); return err }
	for range failuresToOpen {
		if err := get(); !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	before := len(server.seen("get")) + len(server.seen("auth"))
	for range 100 {
		if err := get(); !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if after := len(server.seen("get")) + len(server.seen("auth")); after != before || s.Up() || s.up.Load() != 0 || s.skipped.Load() != 100 || s.failures.Load() != failuresToOpen {
		t.Errorf("%d calls reached a store that is left alone, %d were skipped, %d failed", after-before, s.skipped.Load(), s.failures.Load())
	}
	away.Store(false)
	for get() != nil {
		now.Add(int64(openFor))
	}
	if !s.Up() || s.up.Load() != 1 {
		t.Error("the store is back, and still left alone")
	}
	if text := log.String(); !strings.Contains(text, "does not answer") || !strings.Contains(text, "is back") || strings.Contains(text, "hush") {
		t.Errorf("the log says\n%s", text)
	}
}

func TestOnlyOneCallTriesAgain(t *testing.T) { // M23
	t.Parallel()
	now := time.Unix(1000, 0)
	b := breaker{now: func() time.Time { return now }}
	for i := range failuresToOpen {
		if !b.admit() || b.failed() != (i == failuresToOpen-1) {
			t.Fatalf("failure %d", i+1)
		}
	}
	if b.admit() {
		t.Error("an open breaker admits a call")
	}
	now = now.Add(openFor)
	if !b.admit() || b.admit() {
		t.Error("not exactly one call tries again")
	}
	b.failed()
	if b.admit() {
		t.Error("a failed try closes the breaker")
	}
	now = now.Add(openFor)
	if !b.admit() || !b.succeeded() || !b.admit() || !b.admit() || b.open() {
		t.Error("a try that works does not close the breaker")
	}
}

func TestAStoreThatSaysNothingHoldsACallUpForAMomentOnly(t *testing.T) { // M23
	t.Parallel()
	done := make(chan struct{})
	server := newServer(t, func([]string) string { <-done; return "" })
	defer close(done)
	s := open(t, &config.Redis{Addr: server.addr()}, Options{})
	// The call has no other way to end than its own deadline.
	if _, _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "too long") {
		t.Error(err)
	}
}

func TestAClientThatGoesAwayIsNoFaultOfTheStore(t *testing.T) { // M23
	t.Parallel()
	server := newServer(t, func([]string) string { return "$1\r\nv\r\n" })
	s := open(t, &config.Redis{Addr: server.addr()}, Options{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * failuresToOpen {
		if _, _, err := s.Get(gone, "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if !s.Up() || s.failures.Load() != 0 {
		t.Error("the store is blamed")
	}
}

func TestAnErrorSaysWhatIsWrongAndNotWhatWasSent(t *testing.T) { // B5
	t.Parallel()
	for answer, want := range map[string]string{
		"-WRONGPASS invalid hush\r\n":                 "password",
		"-NOAUTH Authentication required hush\r\n":    "password",
		"-NOPERM no permissions to run hush\r\n":      "may not run",
		"-OOM command not allowed hush\r\n":           "memory",
		"-READONLY You can't write hush\r\n":          "replica",
		"-LOADING hush\r\n":                           "loading",
		"-ERR unknown command `get` with hush\r\n":    "error",
		"-WRONGTYPE Operation against a key hush\r\n": "error",
	} {
		server := newServer(t, func([]string) string { return answer })
		s := open(t, &config.Redis{Addr: server.addr()}, Options{})
		for {
			_, _, err := s.Get(t.Context(), "a")
			if strings.Contains(err.Error(), "too long") || strings.Contains(err.Error(), "reached") {
				s.breaker.retry.Store(0)
				continue // a busy machine; the answer comes with the next try
			}
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%q is told as %q", answer, err)
			}
			break
		}
	}
}

func TestNobodyWaitsForAStoreToStart(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	s := open(t, &config.Redis{Addr: addr, FlushOnStartup: true}, Options{})
	if _, _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}

func TestAnAddressMayHaveASchemeAndNoPort(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"redis:6380": "redis:6380", "redis": "redis:6379", "redis://r": "r:6379", "rediss://r:1/": "r:1", "[::1]:7": "[::1]:7", "[::1]": "[::1]:6379",
	} {
		got, secure := address(addr)
		if got != want || secure != strings.HasPrefix(addr, "rediss") {
			t.Errorf("%s is %s, %v", addr, got, secure)
		}
	}
}

func TestTLSNeedsAllFilesOrAnAddressThatAsksForIt(t *testing.T) {
	t.Parallel()
	plain, err := tlsConfig(&config.Redis{Addr: "r:1", TLS: &config.RedisTLS{ClientCA: "/none"}})
	if plain != nil || err != nil {
		t.Errorf("%v, %v", plain, err)
	}
	secure, err := tlsConfig(&config.Redis{Addr: "rediss://r:1"})
	if err != nil || secure.ServerName != "r" || secure.InsecureSkipVerify {
		t.Errorf("%+v, %v", secure, err)
	}
	for _, files := range []config.RedisTLS{
		{ClientCA: "/none", ClientCert: "/none", ClientKey: "/none"},
		{ClientCA: "tls_test.go", ClientCert: "/none", ClientKey: "/none"},
	} {
		if err := Check(&config.Redis{Addr: "r:1", TLS: &files}); err == nil || !strings.Contains(err.Error(), "gateway.redis.tls.") {
			t.Errorf("%+v: %v", files, err)
		}
	}
	if s, err := Open(&config.Redis{}, Options{}); s != nil || s.Shared() != nil || err != nil {
		t.Error("a store without an address")
	}
}

func TestAPrefixIsNoPattern(t *testing.T) {
	t.Parallel()
	if got := escape(`go*m?[a]\`); got != `go\*m\?\[a\]\\` {
		t.Error(got)
	}
}
