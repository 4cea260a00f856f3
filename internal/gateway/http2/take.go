// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"encoding/binary"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// take acts on a frame. A *streamError concerns only the stream of the frame.
func (c *conn) take(f *frame) error {
	if !c.settled && (f.kind != frameSettings || f.has(flagAck)) {
		return &connError{codeProtocol, "the first frame is none of settings"}
	}
	if c.head.open && (f.kind != frameContinuation || f.stream != c.head.stream) {
		return &connError{codeProtocol, "another frame within a head"}
	}
	if err := placed(f); err != nil {
		return err
	}
	switch f.kind {
	case frameData:
		return c.takeData(f)
	case frameHeaders:
		return c.takeHeaders(f)
	case framePriority:
		return takePriority(f)
	case frameReset:
		return c.takeReset(f)
	case frameSettings:
		return c.takeSettings(f)
	case framePushPromise:
		return &connError{codeProtocol, "a client pushes"}
	case framePing:
		return c.takePing(f)
	case frameWindowUpdate:
		return c.takeWindowUpdate(f)
	case frameContinuation:
		return c.takeContinuation(f)
	case frameGoAway:
	}
	return nil // a goodbye, or something that is not known (RFC 9113 §5.5)
}

// placed tells whether a frame concerns a stream, or none, as its type must.
func placed(f *frame) error {
	switch f.kind {
	case frameData, frameHeaders, framePriority, frameReset, frameContinuation:
		if f.stream == 0 {
			return &connError{codeProtocol, "a frame of no stream"}
		}
	case frameSettings, framePing, frameGoAway:
		if f.stream != 0 {
			return &connError{codeProtocol, "a frame of a stream"}
		}
	case framePushPromise, frameWindowUpdate:
	}
	return nil
}

func takePriority(f *frame) error {
	switch {
	case len(f.payload) != 5:
		return &streamError{codeFrameSize, "a priority of another size"}
	case binary.BigEndian.Uint32(f.payload)&maxStreamID == f.stream:
		return &streamError{codeProtocol, "a stream that depends on itself"}
	}
	return nil
}

// idleStream tells that a stream has not been begun; c.mu is held.
func (c *conn) idleStream(id uint32) bool { return id > c.last || id%2 == 0 }

func (c *conn) takeReset(f *frame) error {
	if len(f.payload) != 4 {
		return &connError{codeFrameSize, "a reset of another size"}
	}
	c.mu.Lock()
	if c.idleStream(f.stream) {
		c.mu.Unlock()
		return &connError{codeProtocol, "a reset of a stream that was not begun"}
	}
	st := c.streams[f.stream]
	if st != nil {
		c.closeStream(st, errReset)
	}
	c.shed.forget(f.stream)
	c.mu.Unlock()
	if st != nil {
		st.interest.Lose(exchange.ErrClientGone)
	}
	return nil
}

func (c *conn) takePing(f *frame) error {
	if len(f.payload) != 8 {
		return &connError{codeFrameSize, "a ping of another size"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if data := [8]byte(f.payload); !f.has(flagAck) {
		c.out = appendPing(c.out, flagAck, data)
		c.wake.Signal()
	} else if data == farewell && c.retiring {
		c.finalLocked()
	}
	return c.unread()
}

// unread ends the connection of a client that asks and does not listen.
func (c *conn) unread() error {
	if len(c.out) > maxUnread {
		return &connError{codeEnhanceCalm, "answers are left unread"}
	}
	return nil
}

func (c *conn) takeSettings(f *frame) error {
	if f.has(flagAck) {
		if len(f.payload) > 0 {
			return &connError{codeFrameSize, "an acknowledgement with settings"}
		}
		return nil
	}
	if len(f.payload)%6 != 0 {
		return &connError{codeFrameSize, "settings of another size"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := f.payload; len(p) > 0; p = p[6:] {
		if err := c.set(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	c.settled = true
	c.out = appendFrameHead(c.out, 0, frameSettings, flagAck, 0)
	c.wake.Signal()
	return c.unread()
}

func (c *conn) set(name uint16, value uint32) error {
	switch name {
	case settingTableSize:
		c.encoder.SetMaxDynamicTableSize(min(value, 4<<10))
	case settingPush:
		if value > 1 {
			return &connError{codeProtocol, "push is neither on nor off"}
		}
	case settingMaxFrame:
		if value < maxFrameBytes || value > 1<<24-1 {
			return &connError{codeProtocol, "a largest frame that there cannot be"}
		}
		c.maxFrame = int(min(value, writeBytes))
	case settingInitialWindow:
		if value > maxWindow {
			return &connError{codeFlowControl, "a window that is too large"}
		}
		return c.resize(int64(value))
	}
	return nil
}

// resize changes what the client takes on each stream, also on those that have begun.
func (c *conn) resize(window int64) error {
	more := window - c.streamWindow
	c.streamWindow = window
	for _, st := range c.streams {
		if st.sendWindow += more; st.sendWindow > maxWindow {
			return &connError{codeFlowControl, "a window that is too large"}
		}
		signal(st.writable)
	}
	return nil
}

func (c *conn) takeWindowUpdate(f *frame) error {
	if len(f.payload) != 4 {
		return &connError{codeFrameSize, "a window update of another size"}
	}
	n := int64(binary.BigEndian.Uint32(f.payload) & maxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.stream == 0 {
		if n == 0 {
			return &connError{codeProtocol, "a window grows by nothing"}
		}
		if c.sendWindow += n; c.sendWindow > maxWindow {
			return &connError{codeFlowControl, "a window that is too large"}
		}
		c.unblock()
		return nil
	}
	if c.idleStream(f.stream) {
		return &connError{codeProtocol, "a window of a stream that was not begun"}
	}
	st := c.streams[f.stream]
	switch {
	case st == nil: // it may have ended meanwhile
		return nil
	case n == 0:
		return &streamError{codeProtocol, "a window grows by nothing"}
	}
	if st.sendWindow += n; st.sendWindow > maxWindow {
		return &streamError{codeFlowControl, "a window that is too large"}
	}
	signal(st.writable)
	return nil
}

func (c *conn) takeData(f *frame) error {
	data, _, err := f.content()
	if err != nil {
		return err
	}
	size := len(f.payload)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idleStream(f.stream) {
		return &connError{codeProtocol, "data of a stream that was not begun"}
	}
	if c.recvWindow -= size; c.recvWindow < 0 {
		return &connError{codeFlowControl, "more data than the connection takes"}
	}
	st := c.streams[f.stream]
	if st == nil {
		c.giveBack(nil, size)
		if f.has(flagEndStream) && c.shed.forget(f.stream) || c.shed.has(f.stream) {
			return nil
		}
		return &streamError{codeStreamClosed, "data of a stream that has ended"}
	}
	if err := st.takeData(data, size, f.has(flagEndStream)); err != nil {
		c.giveBack(nil, size)
		return err
	}
	return nil
}

// giveBack lets the client send more, once that is worth a frame; c.mu is held. st is
// nil when only the connection's window matters.
func (c *conn) giveBack(st *stream, n int) {
	if c.owed += n; c.owed >= c.server.o.ConnWindow/4 {
		c.recvWindow += c.owed
		c.out = appendWindowUpdate(c.out, 0, uint32(c.owed)) //nolint:gosec // no more than the window
		c.owed = 0
		c.wake.Signal()
	}
	if st == nil || st.inEnded {
		return
	}
	if st.owed += n; st.owed >= c.server.o.StreamWindow/2 {
		st.recvWindow += st.owed
		c.out = appendWindowUpdate(c.out, st.id, uint32(st.owed)) //nolint:gosec // no more than the window
		st.owed = 0
		c.wake.Signal()
	}
}

// shed remembers streams that were reset while their client may still be sending, so
// that what is on its way is no fault. It forgets the oldest.
type shed struct {
	ids  [64]uint32
	next int
}

func (s *shed) add(id uint32) {
	s.ids[s.next%len(s.ids)] = id
	s.next++
}

func (s *shed) has(id uint32) bool {
	for _, other := range s.ids {
		if other == id {
			return true
		}
	}
	return false
}

// forget is when the client has ended a stream too. It tells whether it was there.
func (s *shed) forget(id uint32) bool {
	for i := range s.ids {
		if s.ids[i] == id {
			s.ids[i] = 0
			return true
		}
	}
	return false
}
