// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package tickets

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

// memory is a shared store that knows the one script.
type memory struct {
	mu    sync.Mutex
	value []byte
	fail  error
}

func (m *memory) Eval(_ context.Context, _ *store.Script, _ []string, args ...any) ([]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	if string(m.value) != args[0].(string) {
		return []int64{0}, nil
	}
	m.value = []byte(args[1].(string))
	return []int64{1}, nil
}

func (m *memory) Get(context.Context, string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.value, len(m.value) > 0, m.fail
}

func (m *memory) Set(context.Context, string, []byte, time.Duration) error { return m.fail }
func (m *memory) Delete(context.Context, ...string) error                  { return m.fail }

// replica is what was published last.
type replica struct {
	mu   sync.Mutex
	keys [][32]byte
}

func (r *replica) set(keys [][32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = keys
}

// makes and takes tell with what key tickets are made, and whether one is known.
func (r *replica) makes() [32]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[0]
}

func (r *replica) takes(key [32]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		if k == key {
			return true
		}
	}
	return false
}

func TestEveryReplicaTakesTheTicketsOfEveryOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fleet := &memory{}, []*replica{{}, {}, {}}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		for i, r := range fleet {
			go Run(ctx, s, slog.New(slog.DiscardHandler), r.set)
			if i == 1 {
				time.Sleep(17 * time.Second) // they do not look at the same time
			}
		}
		time.Sleep(2 * time.Minute)
		made := map[[32]byte]bool{}
		for range 72 * 12 {
			for _, a := range fleet {
				made[a.makes()] = true
				for _, b := range fleet {
					if !b.takes(a.makes()) {
						t.Fatalf("a ticket is not known after %v", time.Now())
					}
				}
			}
			time.Sleep(5*time.Minute + time.Second)
		}
		if len(made) < 5 || len(made) > 8 {
			t.Errorf("%d keys in three days", len(made))
		}
		if len(fleet[0].keys) > 5 {
			t.Errorf("%d keys are kept", len(fleet[0].keys))
		}
		before := fleet[0].makes()
		s.mu.Lock()
		s.fail = errors.New("silent")
		s.mu.Unlock()
		time.Sleep(30 * time.Hour)
		if fleet[0].makes() == before {
			t.Error("a key is used for ever while the store is silent")
		}
	})
}
