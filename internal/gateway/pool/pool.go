// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package pool holds named, reference-counted values that outlive a Snapshot:
// connection pools, health, counters, caches.
//
// A value is keyed by what it is, never by where it stood in a list. The new
// Snapshot gets its values before the old one lets go of them, so a value that
// both need keeps its state over a reload, and one that nobody needs any more is
// closed.
package pool

import (
	"io"
	"sync"
)

// Pool is a set of shared values. The zero value is ready; it must not be copied.
type Pool struct {
	mu     sync.Mutex
	values map[any]*value
}

// New gives an empty pool.
func New() *Pool { return &Pool{} }

// slot is a key together with both types, so that users of one pool cannot meet
// each other's values, whatever their keys look like.
type slot[K comparable, V any] struct{ key K }

// value is one entry. The fields under ready are set before it is closed.
type value struct {
	refs int // guarded by Pool.mu

	ready chan struct{}
	v     any
	err   error
}

// Get gives the value for key, making it when there is none. Concurrent calls
// for one key make it once and get the same value; different keys do not wait
// for each other. An error of make is not kept: the next Get tries again.
//
// Each successful Get is paired with one call of release, which may be repeated
// without effect. With the last release the value leaves the pool, and its Close,
// with or without an error result, is called. After an error release is nil.
func Get[K comparable, V any](p *Pool, key K, make func() (V, error)) (v V, release func(), err error) {
	k := slot[K, V]{key}
	e, mine := p.enter(k)
	if mine {
		fill(p, k, e, make)
	}
	<-e.ready
	if e.err != nil {
		p.leave(k, e)
		return v, nil, e.err
	}
	var once sync.Once
	return e.v.(V), func() { once.Do(func() { p.leave(k, e) }) }, nil
}

// Len counts the values, for tests and metrics.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.values)
}

// enter counts a reference, and tells whether the caller has to make the value.
func (p *Pool) enter(k any) (e *value, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.values[k]; ok {
		e.refs++
		return e, false
	}
	if p.values == nil {
		p.values = map[any]*value{}
	}
	e = &value{refs: 1, ready: make(chan struct{})}
	p.values[k] = e
	return e, true
}

// fill makes the value outside of the lock. A panic of make goes on to its
// caller; those who wait for the same value get an error.
func fill[V any](p *Pool, k any, e *value, make func() (V, error)) {
	e.err = errPanicked
	defer func() {
		if e.err != nil {
			p.forget(k, e)
		}
		close(e.ready)
	}()
	v, err := make()
	e.v, e.err = v, err
}

// forget takes a value that could not be made out of the pool at once.
func (p *Pool) forget(k any, e *value) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.values[k] == e {
		delete(p.values, k)
	}
}

// leave drops a reference and closes the value with the last one.
func (p *Pool) leave(k any, e *value) {
	p.mu.Lock()
	e.refs--
	last := e.refs == 0
	if last && p.values[k] == e {
		delete(p.values, k)
	}
	p.mu.Unlock()
	if !last || e.err != nil {
		return
	}
	switch c := e.v.(type) {
	case io.Closer:
		// Nobody is left who could do something about an error.
		_ = c.Close()
	case interface{ Close() }:
		c.Close()
	}
}

type poolError string

func (e poolError) Error() string { return string(e) }

const errPanicked = poolError("making a shared value panicked")
