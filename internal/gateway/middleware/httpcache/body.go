// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"net/http"
	"sync"
)

const errSwallowed = cacheError("nobody wants the rest of this answer")

type cacheError string

func (e cacheError) Error() string { return string(e) }

// sendAtOnce is how much of a body is gathered before any of it goes to the client
// of its own accord. A flush by the backend's side sends earlier.
const sendAtOnce = 64 << 10

// firstBytes is the first size of a body whose length nobody has told.
const firstBytes = 4 << 10

// copyOf is a body as it comes. It goes to the client from a goroutine of its own,
// as soon as there is a reason to send before the end, so that a slow client holds
// up nobody who waits for the same answer. M26
type copyOf struct {
	memory   *memory
	most     int
	reserved int64
	// to takes the body; nil is nobody.
	to http.ResponseWriter

	mu   sync.Mutex
	wake sync.Cond
	data []byte
	sent int
	// flushes says that what is there is not to wait. ending ends the sender once
	// all is sent, aborting at once.
	flushes, ending, aborting bool
	sender                    chan struct{}
	err                       error
}

// grow makes room for so many bytes more; it is false if there is none.
func (c *copyOf) grow(n int) bool {
	need := len(c.data) + n
	if need > c.most {
		return false
	}
	if need <= cap(c.data) {
		return true
	}
	size := need
	if len(c.data) > 0 || n == 0 {
		size = min(c.most, max(need, 2*cap(c.data), firstBytes))
	}
	if !c.memory.reserve(int64(size - cap(c.data))) {
		return false
	}
	c.reserved += int64(size - cap(c.data))
	// The sender may still read the old one.
	grown := make([]byte, len(c.data), size)
	copy(grown, c.data)
	c.data = grown
	return true
}

// write keeps a part; it is false if there is no room for it.
func (c *copyOf) write(p []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.grow(len(p)) {
		return false
	}
	c.data = append(c.data, p...)
	if c.sender != nil {
		c.wake.Signal()
	} else if len(c.data) > sendAtOnce {
		c.start()
	}
	return true
}

func (c *copyOf) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushes = true
	if c.sender == nil {
		c.start()
	}
	c.wake.Signal()
}

func (c *copyOf) len() int { return len(c.data) }

// bytes is the body, in no more memory than it needs.
func (c *copyOf) bytes() []byte {
	if cap(c.data)-len(c.data) < len(c.data)/8+64 {
		return c.data[:len(c.data):len(c.data)]
	}
	whole := make([]byte, len(c.data))
	copy(whole, c.data)
	return whole
}

// start begins to send. The lock is held.
func (c *copyOf) start() {
	if c.to == nil {
		return
	}
	c.sender, c.wake.L = make(chan struct{}), &c.mu
	go c.send()
}

func (c *copyOf) send() {
	defer close(c.sender)
	defer func() {
		if recover() != nil { // E5: of a writer below; the client gets no more
			c.mu.Lock()
			c.err = http.ErrAbortHandler
			c.mu.Unlock()
		}
	}()
	control := http.NewResponseController(c.to)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for len(c.data) == c.sent && !c.flushes && !c.ending && !c.aborting {
			c.wake.Wait()
		}
		if c.aborting || c.err != nil || c.ending && len(c.data) == c.sent {
			return
		}
		part, flush := c.data[c.sent:], c.flushes
		c.sent, c.flushes = len(c.data), false
		c.mu.Unlock()
		err := sendPart(c.to, control, part, flush)
		c.mu.Lock()
		if err != nil {
			c.err = err
		}
	}
}

func sendPart(to http.ResponseWriter, control *http.ResponseController, part []byte, flush bool) error {
	if len(part) > 0 {
		if _, err := to.Write(part); err != nil {
			return err
		}
	}
	if flush {
		_ = control.Flush() // where it is not supported, there is nothing to do
	}
	return nil
}

// drain sends all that there is, and returns when it is sent.
func (c *copyOf) drain() error {
	c.stop(false)
	if c.err == nil && c.to != nil && c.sent < len(c.data) {
		_, c.err = c.to.Write(c.data[c.sent:])
		c.sent = len(c.data)
	}
	return c.err
}

// stop ends the sender: once all is sent, or at once.
func (c *copyOf) stop(abort bool) {
	c.mu.Lock()
	sender := c.sender
	c.ending, c.aborting = !abort, abort
	c.wake.Signal()
	c.mu.Unlock()
	if sender != nil {
		<-sender
	}
}

// discard gives the memory back that was reserved on the way.
func (c *copyOf) discard() {
	c.memory.unreserve(c.reserved)
	c.reserved = 0
}
