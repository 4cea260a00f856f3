// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"sync/atomic"
	"time"
)

const (
	// failuresToOpen is how many calls in a row fail before the store is left alone.
	failuresToOpen = 5
	// openFor is how long it is left alone before one call tries again.
	openFor = time.Second
)

// breaker keeps requests from waiting, one after the other, for a store that does
// not answer. Closed, it lets every call through. Open, it refuses all of them, and
// admits a single one each second to see whether the store is back.
type breaker struct {
	now func() time.Time

	failures atomic.Int32
	// retry is when the next call may try, in nanoseconds of Unix time; zero while
	// closed.
	retry atomic.Int64
}

// admit tells whether a call may be made. Each admitted call ends in succeeded,
// failed or nothing, when its caller went away.
func (b *breaker) admit() bool {
	retry := b.retry.Load()
	if retry == 0 {
		return true
	}
	now := b.now().UnixNano()
	return now >= retry && b.retry.CompareAndSwap(retry, now+int64(openFor))
}

// succeeded closes the breaker, and tells whether it was open.
func (b *breaker) succeeded() (closed bool) {
	if b.failures.Load() != 0 {
		b.failures.Store(0)
	}
	return b.retry.Load() != 0 && b.retry.Swap(0) != 0
}

// failed counts a failure, and tells whether it opened the breaker.
func (b *breaker) failed() (opened bool) {
	if b.failures.Add(1) < failuresToOpen {
		return false
	}
	return b.retry.CompareAndSwap(0, b.now().Add(openFor).UnixNano())
}

// open tells whether the store is left alone.
func (b *breaker) open() bool { return b.retry.Load() != 0 }
