// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// http2Conn is a connection that the server of HTTP/2 has. It looks at the heads of
// the frames that pass, and ends the connection of a client that floods.
type http2Conn struct {
	net.Conn

	entry *EntryPoint
	// state is that of TLS; nil without.
	state *tls.ConnectionState
	// client is whose connection it counts as.
	client netip.Addr
	// heads is how many bytes the heads take up that are being served.
	heads atomic.Int64

	// in and preface belong to the one that reads.
	in      scanner
	preface int
	last    uint32 // stream of the client

	// writing is held while something is written.
	writing sync.Mutex
	out     scanner

	mu sync.Mutex

	budget budget
	ended  bool
}

func newHTTP2Conn(e *EntryPoint, c net.Conn, client netip.Addr) *http2Conn {
	h := &http2Conn{Conn: c, entry: e, client: client, preface: len(clientPreface)}
	if t, ok := c.(*tls.Conn); ok {
		state := t.ConnectionState()
		h.state = &state
	}
	return h
}

// NetConn gives the connection below.
func (h *http2Conn) NetConn() net.Conn { return h.Conn }

// CloseWrite ends our side.
func (h *http2Conn) CloseWrite() error {
	if half, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// clientPreface begins a connection (RFC 9113 §3.4).
const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// connKey is the key of the http2Conn in the context of its requests.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func connOf(ctx context.Context) *http2Conn {
	c, _ := ctx.Value(connKey{}).(*http2Conn)
	return c
}

// Read implements io.Reader.
func (h *http2Conn) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 && !h.received(p[:n]) {
		h.calm()
		return 0, net.ErrClosed
	}
	return n, err
}

// received accounts for what the client has sent.
func (h *http2Conn) received(p []byte) bool {
	if h.preface > 0 {
		n := min(h.preface, len(p))
		h.preface -= n
		p = p[n:]
	}
	for {
		f, rest, ok := h.in.next(p)
		if !ok {
			return true
		}
		if p = rest; f.kind == frameHeaders {
			h.last = max(h.last, f.stream)
		}
		h.mu.Lock()
		fine := !h.ended && h.budget.received(f)
		h.mu.Unlock()
		if !fine {
			return false
		}
	}
}

// Write implements io.Writer.
func (h *http2Conn) Write(p []byte) (int, error) {
	h.writing.Lock()
	defer h.writing.Unlock()
	n, err := h.Conn.Write(p)
	for rest := p[:n]; ; {
		var f frame
		var ok bool
		if f, rest, ok = h.out.next(rest); !ok {
			return n, err
		}
		h.mu.Lock()
		if !h.budget.sent(f) {
			h.ended = true // with the next frame that is read
		}
		h.mu.Unlock()
	}
}

// The last words to a client that floods.
const (
	calmTime  = 500 * time.Millisecond
	calmBytes = 1 << 20
)

// calm tells the client why its connection ends, if it still takes anything. It keeps
// reading for a moment, since a reset would take the word away.
func (h *http2Conn) calm() {
	h.entry.admission.flood.Add(1)
	if n := h.entry.floods.Say(); n > 0 {
		h.entry.log.Warn("connections of HTTP/2 are ended, since their clients flood", "peer", h.RemoteAddr().String(), "ended", n)
	}
	_ = h.SetDeadline(time.Now().Add(calmTime)) // of what is being written, too; what follows tells what is wrong
	fits := h.lockBetween()
	defer h.writing.Unlock()
	if fits {
		if _, err := h.Conn.Write(goAway(h.last)); err != nil {
			return
		}
	}
	if half, ok := h.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	var sink [4 << 10]byte
	for left := calmBytes; left > 0; {
		n, err := h.Conn.Read(sink[:])
		if err != nil {
			return
		}
		left -= n
	}
}

// lockBetween keeps the server from writing, if possible between two frames: it fills
// a buffer with them, and may just have sent the half of one.
func (h *http2Conn) lockBetween() (fits bool) {
	for end := time.Now().Add(calmTime); ; {
		h.writing.Lock()
		if h.out.between() || time.Now().After(end) {
			return h.out.between()
		}
		h.writing.Unlock()
		time.Sleep(time.Millisecond)
	}
}

const enhanceYourCalm = 0xb

// goAway is the frame of that name.
func goAway(last uint32) []byte {
	const frameGoAway = 0x7
	b := []byte{0, 0, 8, frameGoAway, 0, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint32(b, last)
	return binary.BigEndian.AppendUint32(b, enhanceYourCalm)
}

// leave is when the connection has ended.
func (h *http2Conn) leave() {
	h.entry.open.Add(-1)
	h.entry.admission.conns.Leave(h.client)
}
