// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"runtime"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

const (
	// maxQueued is from where bodies wait for what is written before them.
	maxQueued = 64 << 10
	// maxUnread is what a client may leave unread that asks for answers without bodies.
	maxUnread = 1 << 20
	// writeBytes is what is written at once, within one WriteTimeout.
	writeBytes = 32 << 10
)

// write writes what is queued, all of it at once, until the connection ends.
func (c *conn) write() {
	defer close(c.written)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for len(c.out) == 0 && !c.ending {
			c.wake.Wait()
		}
		if len(c.out) == 0 || c.broken {
			return
		}
		// Answers that are about to be ready leave together with this one.
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
		batch := c.out
		c.out, c.spare = c.spare[:0], nil
		ending := c.ending
		c.mu.Unlock()
		err := c.send(batch, ending)
		c.mu.Lock()
		if cap(batch) <= 2*maxQueued {
			c.spare = batch
		}
		if err != nil {
			c.fail()
			return
		}
		c.unblock()
	}
}

// send writes a batch. In the end the deadline is set for all that is left.
func (c *conn) send(batch []byte, ending bool) error {
	for len(batch) > 0 {
		n := min(len(batch), writeBytes)
		if !ending {
			c.sendBy.Within(c.net.SetWriteDeadline, time.Now(), c.server.o.WriteTimeout)
		}
		if _, err := c.net.Write(batch[:n]); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// fail is when nothing can be written any more; c.mu is held.
func (c *conn) fail() {
	c.broken = true
	c.out = nil
	streams := make([]*stream, 0, len(c.streams))
	for _, st := range c.streams {
		streams = append(streams, st)
	}
	c.unblock()
	c.breakOff() // the reader ends
	go func() {
		for _, st := range streams {
			st.interest.Lose(exchange.ErrClientGone)
		}
	}()
}

// unblock has all that wait for room or for the window of the connection look again.
func (c *conn) unblock() {
	for i, st := range c.blocked {
		signal(st.writable)
		c.blocked[i] = nil
	}
	c.blocked = c.blocked[:0]
}

// signal wakes one that waits, now or next.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
