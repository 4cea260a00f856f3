// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrClientGone is the cause of a request whose client has gone away.
var ErrClientGone = errors.New("the client has gone away")

// Cutter is work for a client that blocks; Cut makes it fail soon. It is called
// from another goroutine, at any time.
type Cutter interface{ Cut() }

// Interest is the interest of a client in the answer to its request. Whatever
// blocks for the client says so, and is cut when the interest ends. The zero value
// is a live interest; one that nobody watches costs no allocation.
//
// It is a context too, so that it can be the context of a request; it has the
// Exchange, and no deadline.
type Interest struct {
	// Exchange is the value of the context.
	Exchange *Exchange
	// Parent, if set, has all other values.
	Parent context.Context

	mu sync.Mutex

	err   error
	done  chan struct{}
	work  Cutter
	later []*func()
}

var _ context.Context = (*Interest)(nil)

// Begin says that work is about to block. It is false when nobody is interested
// any more. There is one such work at a time.
func (i *Interest) Begin(work Cutter) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return false
	}
	i.work = work
	return true
}

// End says that the work is over; Cut is not called any more. It is false when the
// interest has ended meanwhile.
func (i *Interest) End() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.work = nil
	return i.err == nil
}

// Lose ends the interest, once, for a reason that Err gives from then on.
func (i *Interest) Lose(reason error) {
	i.mu.Lock()
	if i.err != nil {
		i.mu.Unlock()
		return
	}
	i.err = reason
	if i.done != nil {
		close(i.done)
	}
	if i.work != nil {
		i.work.Cut()
	}
	later := i.later
	i.later = nil
	i.mu.Unlock()
	for _, f := range later {
		go (*f)()
	}
}

// Done implements context.Context.
func (i *Interest) Done() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.done == nil {
		i.done = make(chan struct{})
		if i.err != nil {
			close(i.done)
		}
	}
	return i.done
}

// Err implements context.Context. It is context.Canceled in the end, as users of
// contexts expect.
func (i *Interest) Err() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return context.Canceled
	}
	return nil
}

// Deadline implements context.Context.
func (i *Interest) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Value implements context.Context.
func (i *Interest) Value(k any) any {
	if _, own := k.(key); own {
		return i.Exchange
	}
	if i.Parent != nil {
		return i.Parent.Value(k)
	}
	return nil
}

// AfterFunc lets package context do without a goroutine; see context.AfterFunc.
func (i *Interest) AfterFunc(f func()) (stop func() bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		go f()
		return func() bool { return false }
	}
	entry := &f
	i.later = append(i.later, entry)
	return func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		for at, e := range i.later {
			if e == entry {
				i.later[at] = i.later[len(i.later)-1]
				i.later = i.later[:len(i.later)-1]
				return true
			}
		}
		return false
	}
}

// InterestOf gives the interest that a context stands for. A context that is not
// one itself gets one that ends with it; stop lets go of it.
func InterestOf(ctx context.Context) (i *Interest, stop func()) {
	if i, ok := ctx.(*Interest); ok {
		return i, func() {}
	}
	i = &Interest{}
	if ctx.Done() == nil {
		return i, func() {}
	}
	release := context.AfterFunc(ctx, func() { i.Lose(context.Cause(ctx)) })
	return i, func() { release() }
}
