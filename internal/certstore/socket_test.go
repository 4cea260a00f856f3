// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certstore_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/certstore"
	"gateway.jkaninda.dev/goma/internal/certstore/secrets"
	"gateway.jkaninda.dev/goma/internal/certstore/secrets/secretstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pod is a sidecar with its socket, and the end of its gateway.
type pod struct {
	*certstore.Client

	socket string
	stop   func()
}

func startPod(t *testing.T, api *secretstest.API, name string) *pod {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "store", "s")
	ctx, cancel := context.WithCancel(t.Context())
	l, err := certstore.Listen(ctx, socket)
	must(t, err)
	backend := secrets.New(secrets.Options{Gateway: "edge", Holder: name, API: api})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := certstore.NewServer(backend, slog.New(slog.DiscardHandler)).Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	p := &pod{Client: certstore.NewClient(socket), socket: socket}
	p.stop = sync.OnceFunc(func() {
		cancel()
		serving.Wait()
		backend.Close()
		p.Close()
	})
	t.Cleanup(p.stop)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const key = "acme/0123/certificates/a.example.com.json"

func TestValuesGoThroughTheSocket(t *testing.T) {
	t.Parallel()
	api := secretstest.New("edge")
	one, two := startPod(t, api, "one"), startPod(t, api, "two")
	if _, err := one.Load(t.Context(), key, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	must(t, one.Save(t.Context(), key, "", []byte("private"), time.Hour))
	if got, err := two.Load(t.Context(), key, ""); err != nil || string(got) != "private" {
		t.Errorf("%q, %v", got, err)
	}
	must(t, two.Delete(t.Context(), key, ""))
	if err := one.Save(t.Context(), key, "", make([]byte, certstore.MaxValueBytes+1), time.Hour); !errors.Is(err, certstore.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if err := one.Save(t.Context(), key, "", make([]byte, certstore.MaxValueBytes), time.Hour); !errors.Is(err, certstore.ErrTooLarge) ||
		!strings.Contains(err.Error(), "a Secret holds") {
		t.Errorf("too large by its head: %v", err)
	}
	if err := one.Save(t.Context(), key, "no such lock", []byte("x"), time.Hour); !errors.Is(err, certstore.ErrLost) {
		t.Errorf("under a lock that does not exist: %v", err)
	}
	if _, err := one.Load(t.Context(), "with blanks", ""); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that is none: %v", err)
	}
}

func TestLocksGoThroughTheSocket(t *testing.T) { // A9
	t.Parallel()
	api := secretstest.New("edge")
	one, two := startPod(t, api, "one"), startPod(t, api, "two")
	l, err := one.TryLock(t.Context(), key)
	if err != nil || l == nil {
		t.Fatalf("not taken: %v", err)
	}
	if other, err := two.TryLock(t.Context(), key); other != nil || err != nil {
		t.Fatalf("taken twice, or %v", err)
	}
	must(t, one.Save(t.Context(), key, l.ID, []byte("x"), time.Hour))
	if err := two.Save(t.Context(), key, l.ID, []byte("x"), time.Hour); !errors.Is(err, certstore.ErrLost) {
		t.Errorf("written under another pod's lock: %v", err)
	}
	l.Release(t.Context())
	next, err := two.TryLock(t.Context(), key)
	if err != nil || next == nil {
		t.Fatalf("not given back: %v", err)
	}
	// Its sidecar ends, and the gateway knows.
	two.stop()
	select {
	case <-next.Lost:
	case <-time.After(30 * time.Second):
		t.Fatal("the gateway still believes in its lock")
	}
	next.Release(t.Context())
	if _, err := two.TryLock(t.Context(), key); !errors.Is(err, certstore.ErrUnavailable) {
		t.Errorf("without a sidecar: %v", err)
	}
	again, err := one.TryLock(t.Context(), key)
	if err != nil || again == nil {
		t.Fatalf("a sidecar that ended has kept its lock: %v", err)
	}
	again.Release(t.Context())
}

// A gateway that is killed holds nothing up: its lock is free when its connection ends.
func TestALockEndsWithTheGateway(t *testing.T) { // A9
	t.Parallel()
	api := secretstest.New("edge")
	one, two := startPod(t, api, "one"), startPod(t, api, "two")
	c, err := net.Dial("unix", one.socket)
	must(t, err)
	r, err := http.NewRequest(http.MethodPost, "http://store/v1/locks?name="+key, nil)
	must(t, err)
	must(t, r.Write(c))
	answer := make([]byte, 12)
	if _, err := c.Read(answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Fatalf("%q, %v", answer, err)
	}
	if other, err := two.TryLock(t.Context(), key); other != nil || err != nil {
		t.Fatalf("taken twice, or %v", err)
	}
	must(t, c.Close())
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		l, err := two.TryLock(t.Context(), key)
		must(t, err)
		if l != nil {
			l.Release(t.Context())
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the lock of a gateway that is gone is not free")
		}
	}
}

func TestTheSocketIsItsOwnersAlone(t *testing.T) { // A10
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "store")
	must(t, os.Mkdir(folder, 0o777))
	socket := filepath.Join(folder, "s")
	for range 2 { // the second replaces what the first has left
		l, err := certstore.Listen(t.Context(), socket)
		must(t, err)
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		for path, want := range map[string]fs.FileMode{folder: 0o700, socket: 0o600} {
			info, err := os.Stat(path)
			must(t, err)
			if got := info.Mode().Perm(); got != want {
				t.Errorf("%s has mode %v", path, got)
			}
		}
		must(t, l.Close())
	}
	must(t, os.Remove(socket))
	must(t, os.WriteFile(socket, []byte("precious"), 0o600))
	if l, err := certstore.Listen(t.Context(), socket); err == nil {
		t.Error("a file was replaced by a socket")
		l.Close()
	}
}

func TestLocksAreBounded(t *testing.T) {
	t.Parallel()
	b := &endless{}
	socket := filepath.Join(t.TempDir(), "store", "s")
	ctx, cancel := context.WithCancel(t.Context())
	l, err := certstore.Listen(ctx, socket)
	must(t, err)
	var serving sync.WaitGroup
	serving.Go(func() { must(t, certstore.NewServer(b, slog.New(slog.DiscardHandler)).Serve(ctx, l)) })
	t.Cleanup(func() { cancel(); serving.Wait() })
	c := certstore.NewClient(socket)
	t.Cleanup(c.Close)
	var all []*certstore.Held
	for range 200 {
		h, err := c.TryLock(t.Context(), key)
		if err != nil {
			if !errors.Is(err, certstore.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			break
		}
		all = append(all, h)
	}
	if len(all) != 64 {
		t.Errorf("%d locks at a time", len(all))
	}
	for _, h := range all {
		h.Release(t.Context())
	}
}

// endless gives every lock.
type endless struct{ certstore.Backend }

func (endless) TryLock(context.Context, string) (certstore.Lock, error) { return forever{}, nil }

type forever struct{}

func (forever) Lost() <-chan struct{}   { return nil }
func (forever) Release(context.Context) {}
