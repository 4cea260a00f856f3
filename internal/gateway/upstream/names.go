// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultTTL = 300 * time.Second
	// negativeTTL is how long a name that cannot be looked up is not asked for again.
	negativeTTL = time.Second
	// staleFor is how long addresses are used whose name servers do not answer.
	staleFor      = 10 * time.Minute
	lookupTimeout = 5 * time.Second
	// forgetAfter is how long a name is kept that nobody uses.
	forgetAfter = 10 * time.Minute
)

// names knows the addresses of backends by their names. A name is looked up once
// for all who ask at a time; once its addresses are old they are used while they
// are looked up anew. One name that cannot be looked up holds nobody else. U6
type names struct {
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	ttl    time.Duration

	mu sync.Mutex

	known     map[string]*name
	followers map[string][]*follower
}

// name is what is known of one name. Everything is guarded by names.mu.
type name struct {
	addresses []netip.Addr
	err       error
	// looked is when the addresses were found, expires when they are old, used when
	// somebody wanted them last.
	looked, expires, used time.Time
	// stale says that the addresses must not be used before they are looked up anew.
	stale bool
	// pending is closed when the lookup under way ends; nil when there is none.
	pending chan struct{}
}

func newNames(r *net.Resolver, ttl *int) *names {
	if r == nil {
		r = net.DefaultResolver
	}
	n := &names{ttl: defaultTTL, known: map[string]*name{}, followers: map[string][]*follower{}}
	if ttl != nil {
		n.ttl = time.Duration(*ttl) * time.Second
	}
	n.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
		return r.LookupNetIP(ctx, "ip", host)
	}
	return n
}

// of gives the addresses of a host, as its name servers have ordered them.
func (n *names) of(ctx context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	e := n.entry(host)
	now := time.Now()
	e.used = now
	if now.Before(e.expires) {
		defer n.mu.Unlock()
		return e.addresses, e.err
	}
	pending := n.refresh(host, e)
	if len(e.addresses) > 0 && !e.stale {
		defer n.mu.Unlock()
		return e.addresses, nil
	}
	n.mu.Unlock()
	return n.result(ctx, host, e, pending)
}

// again gives the addresses of a host whose known ones do not work; it looks them
// up unless that was done just now.
func (n *names) again(ctx context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	e := n.entry(host)
	if e.pending == nil && time.Since(e.looked) < negativeTTL {
		defer n.mu.Unlock()
		return e.addresses, e.err
	}
	pending := n.refresh(host, e)
	n.mu.Unlock()
	return n.result(ctx, host, e, pending)
}

// suspect has a host looked up whose addresses do not answer, without waiting.
func (n *names) suspect(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.entry(host); time.Since(e.looked) >= negativeTTL {
		n.refresh(host, e)
	}
}

// result waits for a lookup.
func (n *names) result(ctx context.Context, host string, e *name, pending <-chan struct{}) ([]netip.Addr, error) {
	select {
	case <-pending:
		n.mu.Lock()
		defer n.mu.Unlock()
		return e.addresses, e.err
	case <-ctx.Done():
		return nil, &net.DNSError{Err: context.Cause(ctx).Error(), Name: host, IsTimeout: errors.Is(ctx.Err(), context.DeadlineExceeded)}
	}
}

// entry gives the entry of a host; n.mu is held.
func (n *names) entry(host string) *name {
	if e, ok := n.known[host]; ok {
		return e
	}
	for other, e := range n.known {
		if e.pending == nil && len(n.followers[other]) == 0 && time.Since(e.used) > forgetAfter {
			delete(n.known, other)
		}
	}
	e := &name{}
	n.known[host] = e
	return e
}

// refresh has a host looked up, unless that is under way; n.mu is held.
func (n *names) refresh(host string, e *name) <-chan struct{} {
	if e.pending == nil {
		e.pending = make(chan struct{})
		go n.fetch(host, e)
	}
	return e.pending
}

// fetch looks a host up. It ends within lookupTimeout.
func (n *names) fetch(host string, e *name) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	found, err := n.safely(ctx, host)
	n.mu.Lock()
	before := e.addresses
	e.note(found, err, n.ttl)
	changed := !sameAddresses(before, e.addresses)
	close(e.pending)
	e.pending = nil
	followers, now := n.followers[host], e.addresses
	n.mu.Unlock()
	if !changed {
		return
	}
	for _, f := range followers {
		f.changed(now)
	}
}

// safely keeps a panic from ending the process. E5
func (n *names) safely(ctx context.Context, host string) (found []netip.Addr, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a lookup: %v", p)
		}
	}()
	return n.lookup(ctx, host)
}

// note keeps the result of a lookup. A name that is said not to exist has no
// addresses any more; name servers that do not answer say nothing about it.
func (e *name) note(found []netip.Addr, err error, ttl time.Duration) {
	now := time.Now()
	e.stale = false
	if err == nil && len(found) > 0 {
		for i := range found {
			found[i] = found[i].Unmap()
		}
		e.addresses, e.err, e.looked = found, nil, now
		// Names that were looked up together are not looked up together again.
		e.expires = now.Add(ttl - rand.N(ttl/10+1)) //nolint:gosec // no secret
		return
	}
	e.expires = now.Add(negativeTTL)
	missing, ok := errors.AsType[*net.DNSError](err)
	if len(e.addresses) > 0 && (!ok || !missing.IsNotFound) && err != nil && now.Sub(e.looked) < staleFor {
		return
	}
	if err == nil {
		err = &net.DNSError{Err: "no addresses", IsNotFound: true}
	}
	e.addresses, e.err, e.looked = nil, err, now
}

func sameAddresses(a, b []netip.Addr) bool {
	if len(a) != len(b) {
		return false
	}
	for _, ip := range a {
		if !slices.Contains(b, ip) {
			return false
		}
	}
	return true
}

// forget has every name looked up before it is used again.
func (n *names) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for host, e := range n.known {
		e.expires, e.stale = time.Time{}, true
		if len(n.followers[host]) > 0 {
			n.refresh(host, e)
		}
	}
}

// follower is told when the addresses of a host are others than before, for as long
// as it looks now and then.
type follower struct {
	names   *names
	host    string
	changed func([]netip.Addr)
	// next is when to look, in nanoseconds of the wall clock.
	next atomic.Int64
}

// follow has changes of a host told. It tells of nothing for an address.
func (n *names) follow(host string, changed func([]netip.Addr)) *follower {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	f := &follower{names: n, host: host, changed: changed}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.followers[host] = append(slices.Clone(n.followers[host]), f)
	return f
}

// look has the host looked up anew if its addresses are old. Connections that are
// kept for long need nobody to dial, so nobody else would ask.
func (f *follower) look(now time.Time) {
	if f == nil {
		return
	}
	at := now.UnixNano()
	next := f.next.Load()
	if at < next || !f.next.CompareAndSwap(next, at+int64(max(f.names.ttl, time.Second)/4)) {
		return
	}
	f.names.mu.Lock()
	defer f.names.mu.Unlock()
	e, ok := f.names.known[f.host]
	if !ok {
		return // nobody has connected yet
	}
	e.used = now
	if !time.Now().Before(e.expires) {
		f.names.refresh(f.host, e)
	}
}

// end ends following.
func (f *follower) end() {
	if f == nil {
		return
	}
	n := f.names
	n.mu.Lock()
	defer n.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(n.followers[f.host]), func(other *follower) bool { return other == f })
	if len(list) == 0 {
		delete(n.followers, f.host)
		return
	}
	n.followers[f.host] = list
}
