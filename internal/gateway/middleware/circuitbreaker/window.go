// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package circuitbreaker

import (
	"sync/atomic"
	"time"
)

// slices is how many parts a window has. The oldest leaves as a whole.
const slices = 10

// window counts answers of a span of time before now. It takes no lock: an answer
// that is counted in the very moment in which its slice begins anew may be lost,
// which no share of failures depends on.
type window struct {
	width time.Duration // of one slice
	slice [slices]slice
}

type slice struct {
	// number is that of the slice since 1970.
	number        atomic.Int64
	total, failed atomic.Int64
}

func (w *window) numberOf(now time.Time) int64 { return now.UnixNano() / int64(w.width) }

// add counts an answer.
func (w *window) add(now time.Time, failed bool) {
	n := w.numberOf(now)
	s := &w.slice[n%slices]
	if old := s.number.Load(); old != n && s.number.CompareAndSwap(old, n) {
		s.total.Store(0)
		s.failed.Store(0)
	}
	s.total.Add(1)
	if failed {
		s.failed.Add(1)
	}
}

// sum counts the answers in the window.
func (w *window) sum(now time.Time) (total, failed int64) {
	n := w.numberOf(now)
	for i := range w.slice {
		if s := &w.slice[i]; n-s.number.Load() < slices {
			total += s.total.Load()
			failed += s.failed.Load()
		}
	}
	return total, failed
}

func (w *window) reset() {
	for i := range w.slice {
		w.slice[i].number.Store(0)
	}
}
