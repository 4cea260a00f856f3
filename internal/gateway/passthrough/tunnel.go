// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// tunnel joins two connections.
type tunnel struct {
	client, target *net.TCPConn
	// preface is sent to the target before anything else.
	preface []byte
	idle    time.Duration
	meter   *meter

	// received is what came from the client, sent what went to it.
	received, sent int64
	progress       progress
	cut            atomic.Bool
}

// The ends of a tunnel.
const (
	endedClean = "both sides have ended"
	endedIdle  = "idle"
	endedError = "broken off"
)

// run copies both ways until both have ended, one has broken off, or nobody has
// sent anything for the idle time. An end of one side is passed on to the other,
// which may still answer.
func (t *tunnel) run() (reason string) {
	watch := t.watch()
	defer watch.Stop()
	if len(t.preface) > 0 {
		if _, err := t.target.Write(t.preface); err != nil {
			return t.why(err)
		}
	}
	var (
		back    sync.WaitGroup
		backErr error
	)
	back.Go(func() { t.sent, backErr = t.copy(t.client, t.target) })
	var err error
	t.received, err = t.copy(t.target, t.client)
	back.Wait()
	t.meter.bytes[received].AddN(t.received)
	t.meter.bytes[sent].AddN(t.sent)
	if err == nil {
		err = backErr
	}
	return t.why(err)
}

// copy moves one direction; between two sockets the kernel does it. An error ends
// the other direction too.
func (t *tunnel) copy(to, from *net.TCPConn) (int64, error) {
	n, err := io.Copy(to, t.progress.count(from))
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		t.close()
	}
	return n, err
}

func (t *tunnel) why(err error) string {
	switch {
	case t.cut.Load():
		return endedIdle
	case err != nil:
		return endedError
	}
	return endedClean
}

func (t *tunnel) close() {
	_ = t.client.Close()
	_ = t.target.Close()
}

// looks is how often progress is looked for within the idle time.
const looks = 4

// watch closes both connections when there was no progress for the idle time. It
// does not look at each byte, so it may take a quarter longer.
func (t *tunnel) watch() *watch {
	w := &watch{tunnel: t, every: t.idle / looks}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = t.progress.of(t.client, t.target)
	w.timer = time.AfterFunc(w.every, w.look)
	return w
}

type watch struct {
	tunnel *tunnel
	every  time.Duration

	mu sync.Mutex

	timer   *time.Timer
	last    uint64
	quiet   int
	stopped bool
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	w.quiet++
	if now := w.tunnel.progress.of(w.tunnel.client, w.tunnel.target); now != w.last {
		w.last, w.quiet = now, 0
	}
	if w.quiet >= looks {
		w.tunnel.cut.Store(true)
		w.tunnel.close()
		return
	}
	w.timer.Reset(w.every)
}

// Stop ends the watching.
func (w *watch) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
}
