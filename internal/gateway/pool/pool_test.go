// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

type counter struct{ closed atomic.Int32 }

func (c *counter) Close() { c.closed.Add(1) }

type failing struct{ closed int }

func (f *failing) Close() error { f.closed++; return errors.New("ignored") }

func get[K comparable](t *testing.T, p *Pool, key K) (*counter, func()) {
	t.Helper()
	c, release, err := Get(p, key, func() (*counter, error) { return &counter{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	return c, release
}

func TestAValueIsSharedUntilTheLastReleaseAndThenClosed(t *testing.T) { // D3, U1
	t.Parallel()
	var p Pool
	a, releaseA := get(t, &p, "x")
	b, releaseB := get(t, &p, "x")
	if a != b {
		t.Fatal("the second Get made another value")
	}
	releaseA()
	releaseA() // a second call of the same release does not count
	if a.closed.Load() != 0 {
		t.Fatal("closed while in use")
	}
	releaseB()
	if a.closed.Load() != 1 || p.Len() != 0 {
		t.Fatalf("closed %d times, %d values left", a.closed.Load(), p.Len())
	}
	c, release := get(t, &p, "x")
	defer release()
	if c == a {
		t.Fatal("a closed value came back")
	}
}

func TestKeysOfDifferentTypesNeverMeet(t *testing.T) { // T5
	t.Parallel()
	type one struct{ Name string }
	type two struct{ Name string }
	var p Pool
	a, releaseA := get(t, &p, one{"x"})
	b, releaseB := get(t, &p, two{"x"})
	n, releaseN, err := Get(&p, one{"x"}, func() (int, error) { return 7, nil })
	if err != nil || n != 7 {
		t.Fatalf("got %d, %v", n, err)
	}
	if a == b || p.Len() != 3 {
		t.Fatalf("values were shared: %d", p.Len())
	}
	releaseA()
	releaseB()
	releaseN()
	if p.Len() != 0 {
		t.Fatalf("%d values left", p.Len())
	}
}

func TestAnErrorIsNotKept(t *testing.T) {
	t.Parallel()
	var p Pool
	_, release, err := Get(&p, 1, func() (*counter, error) { return nil, errors.New("no") })
	if err == nil || release != nil || p.Len() != 0 {
		t.Fatalf("err %v, %d values", err, p.Len())
	}
	_, release = get(t, &p, 1)
	release()
}

func TestAPanicReachesItsCallerAndTheNextGetWorks(t *testing.T) { // C10
	t.Parallel()
	var p Pool
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _, _ = Get(&p, 1, func() (*counter, error) { panic("boom") })
	}()
	_, release := get(t, &p, 1)
	release()
}

func TestCloseWithAnErrorResultIsCalledToo(t *testing.T) {
	t.Parallel()
	var p Pool
	f, release, err := Get(&p, 1, func() (*failing, error) { return &failing{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	release()
	if f.closed != 1 {
		t.Fatalf("closed %d times", f.closed)
	}
}

func TestConcurrentUsersMakeAValueOnceAndNeverSeeItClosed(t *testing.T) { // L1
	t.Parallel()
	var p Pool
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 500 {
				c, release, err := Get(&p, i%3, func() (*counter, error) { return &counter{}, nil })
				if err != nil || c.closed.Load() != 0 {
					t.Errorf("err %v, closed %d", err, c.closed.Load())
				}
				release()
			}
		})
	}
	group.Wait()
	if p.Len() != 0 {
		t.Fatalf("%d values left", p.Len())
	}
}
