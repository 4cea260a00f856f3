// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"sync/atomic"
	"time"
)

const (
	// whole is one retry; requests earn hundredths of it.
	whole = 100
	// most is what a budget can hold, and begins with.
	most = 100 * whole
	// trickle is what a budget gets each second, for routes with few requests.
	trickle = whole
)

// budget bounds how many requests are repeated. It is safe for concurrent use, and
// takes no lock.
type budget struct {
	hundredths atomic.Int64
	second     atomic.Int64
}

func newBudget() *budget {
	b := &budget{}
	b.hundredths.Store(most)
	return b
}

// earn is called for each request.
func (b *budget) earn(percent int64) {
	if b.hundredths.Load() < most {
		b.hundredths.Add(percent)
	}
}

// spend takes one retry, if there is one.
func (b *budget) spend(now time.Time) bool {
	b.trickle(now.Unix())
	for {
		left := b.hundredths.Load()
		if left < whole {
			return false
		}
		if b.hundredths.CompareAndSwap(left, left-whole) {
			return true
		}
	}
}

func (b *budget) trickle(second int64) {
	last := b.second.Load()
	if second <= last || !b.second.CompareAndSwap(last, second) || last == 0 {
		return
	}
	if left := b.hundredths.Load(); left < most {
		b.hundredths.Add(min((second-last)*trickle, most-left))
	}
}
