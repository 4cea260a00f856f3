// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxQueuedBytes bounds the lines that wait for a slow reader.
	maxQueuedBytes = 4 << 20
	// flushWait is how long Close waits for lines to be taken.
	flushWait = 2 * time.Second
)

// Sink is a writer that never blocks: lines are queued and written by a goroutine.
// When the queue is full, because of a full disk or a pipe that nobody reads,
// lines are dropped and counted. It is safe for concurrent use.
type Sink struct {
	out     io.Writer
	dropped atomic.Uint64
	done    chan struct{}

	mu     sync.Mutex
	wake   *sync.Cond
	queue  []byte
	closed bool
}

// NewSink starts writing to out. Close ends it.
func NewSink(out io.Writer) *Sink {
	s := &Sink{out: out, done: make(chan struct{})}
	s.wake = sync.NewCond(&s.mu)
	go s.run()
	return s
}

// Write queues one line. It always reports success: there is nobody who could
// handle the failure of a log.
func (s *Sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.queue)+len(line) > maxQueuedBytes {
		s.dropped.Add(1)
		return len(line), nil
	}
	s.queue = append(s.queue, line...)
	s.wake.Signal()
	return len(line), nil
}

// Dropped counts the lines that were lost.
func (s *Sink) Dropped() uint64 { return s.dropped.Load() }

// Close writes what is queued and ends the goroutine. A reader that does not take
// the rest in a short time does not get it.
func (s *Sink) Close() {
	s.mu.Lock()
	s.closed = true
	s.wake.Signal()
	s.mu.Unlock()
	timer := time.NewTimer(flushWait)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
	}
}

// run takes all that is queued at once, so that a burst costs few system calls.
func (s *Sink) run() {
	defer close(s.done)
	var batch []byte
	for {
		s.mu.Lock()
		for len(s.queue) == 0 && !s.closed {
			s.wake.Wait()
		}
		if len(s.queue) == 0 {
			s.mu.Unlock()
			return
		}
		// Requests that are about to end add their lines first.
		s.mu.Unlock()
		runtime.Gosched()
		s.mu.Lock()
		batch, s.queue = s.queue, batch[:0]
		s.mu.Unlock()
		// A failure is that of a disk or pipe, and the next batch tries again.
		_, _ = s.out.Write(batch)
	}
}
