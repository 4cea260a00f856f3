// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

// Package redis tests what gateways share through Redis. It needs the command
// redis-server (Debian: redis-server), and starts servers of its own on loopback
// ports, with nothing on disk; the one of the system is never touched.
package redis

import (
	"context"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gateway.jkaninda.dev/goma/test/peers/loopback"
)

const (
	password = "the redis password"
	// patience is how long a test waits for what must come.
	patience = 30 * time.Second
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// server is one redis-server.
type server struct {
	t       *testing.T
	addr    string
	process *exec.Cmd
	// client is the test's own way in.
	client *redis.Client
}

// start starts a server and waits until it answers.
func start(t *testing.T) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("there is no redis-server; install the Debian package redis-server")
	}
	s := &server{t: t, addr: loopback.Address(t)}
	s.client = redis.NewClient(&redis.Options{Addr: s.addr, Password: password})
	t.Cleanup(func() { _ = s.client.Close() })
	s.run()
	t.Cleanup(s.kill)
	return s
}

// run starts the process, which may have run before.
func (s *server) run() {
	s.t.Helper()
	_, port, err := net.SplitHostPort(s.addr)
	must(s.t, err)
	s.process = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", //nolint:gosec,noctx // ended by kill
		"--appendonly", "no", "--requirepass", password, "--dir", s.t.TempDir())
	must(s.t, s.process.Start())
	until(s.t, "redis-server", func() bool { return s.client.Ping(s.t.Context()).Err() == nil })
}

// kill ends the process at once.
func (s *server) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

func (s *server) signal(signal syscall.Signal) {
	s.t.Helper()
	must(s.t, s.process.Process.Signal(signal))
}

// keys gives all keys, each with its life; a negative one never leaves.
func (s *server) keys() map[string]time.Duration {
	s.t.Helper()
	names, err := s.client.Keys(s.t.Context(), "*").Result()
	must(s.t, err)
	out := map[string]time.Duration{}
	for _, name := range names {
		ttl, err := s.client.PTTL(s.t.Context(), name).Result()
		must(s.t, err)
		out[name] = ttl
	}
	return out
}

// until waits for something to become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
