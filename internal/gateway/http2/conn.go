// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/limit"
)

// conn is one connection of a client.
type conn struct {
	server *Server
	net    net.Conn
	ctx    context.Context //nolint:containedctx // it has the values of the requests' contexts
	remote string

	// What follows, up to mu, is the reader's. What it has read and not used is in[r:w].
	in   []byte
	r, w int
	read limit.Deadline
	// since is when what it reads now began, if that is a head; zero is never.
	since time.Time
	// quietSince is when the last bytes came. pinged: the client was asked for a
	// sign of life then.
	quietSince time.Time
	pinged     bool
	// prefaced: the preface was read, and settled: the first settings were.
	prefaced, settled bool
	decoder           *hpack.Decoder
	head              head

	handlers sync.WaitGroup

	mu sync.Mutex

	streams map[uint32]*stream
	// running counts the handlers, of streams that are gone too.
	running int
	// last is the last stream that the client has begun.
	last uint32
	// shed are streams that were reset while the client was still sending.
	shed shed
	// idleSince is when there was no stream any more.
	idleSince time.Time

	// sendWindow is how much the client takes on all streams, streamWindow what it
	// takes on one that begins, and maxFrame in one frame.
	sendWindow, streamWindow int64
	maxFrame                 int
	// recvWindow is how much the client may send; owed is how much of that has been
	// used and not been given back.
	recvWindow, owed int
	// blocked are streams that wait for sendWindow, or for room in out.
	blocked []*stream

	out, spare []byte
	// sendBy is that of the goroutine that writes.
	sendBy   limit.Deadline
	wake     *sync.Cond
	encoder  *hpack.Encoder
	block    bytes.Buffer
	lower    map[string]string
	date     string
	dateUnix int64

	// retiring: the client was asked to go. final: it was told which stream is the
	// last. over: the connection is to end now. ending: nothing more is to be written.
	retiring, final, over, ending bool
	// broken: nothing can be written any more.
	broken  bool
	written chan struct{} // closed when nothing is written any more
}

const startBytes = 4 << 10

func newConn(ctx context.Context, s *Server, nc net.Conn) *conn {
	now := time.Now()
	c := &conn{
		server: s, net: nc, ctx: ctx, remote: nc.RemoteAddr().String(), in: make([]byte, startBytes), since: now, quietSince: now,
		streams: map[uint32]*stream{}, idleSince: now,
		sendWindow: firstWindow, streamWindow: firstWindow, maxFrame: maxFrameBytes, recvWindow: s.o.ConnWindow,
		written: make(chan struct{}),
	}
	c.wake = sync.NewCond(&c.mu)
	c.decoder = hpack.NewDecoder(4<<10, c.head.field)
	c.decoder.SetMaxStringLength(s.o.MaxHeaderBytes)
	c.head.most = s.o.MaxHeaderBytes
	c.encoder = hpack.NewEncoder(&c.block)
	c.out = appendSettings(nil, settingMaxStreams, uint32(s.o.MaxStreams), //nolint:gosec // small numbers
		settingInitialWindow, uint32(s.o.StreamWindow), settingMaxHeaderList, uint32(s.o.MaxHeaderBytes)) //nolint:gosec // small numbers
	c.out = appendWindowUpdate(c.out, 0, uint32(max(s.o.ConnWindow-firstWindow, 1))) //nolint:gosec // small numbers
	return c
}

// run serves the connection to its end.
func (c *conn) run() {
	go c.write()
	err := c.serve()
	c.finish(err)
	c.handlers.Wait()
}

// The ends of a connection that are nobody's fault.
var (
	errOver = errors.New("the connection is over")
	errIdle = errors.New("the connection has idled for too long")
	errDead = errors.New("the client gives no sign of life")
	errSlow = errors.New("the client takes too long for a head")
)

func (c *conn) serve() error {
	if err := c.preface(); err != nil {
		return err
	}
	for {
		f, err := c.next()
		if err != nil {
			return err
		}
		if err = c.take(&f); err == nil {
			continue
		}
		fault, ok := errors.AsType[*streamError](err)
		if !ok {
			return err
		}
		c.resetByID(f.stream, fault.code)
	}
}

func (c *conn) preface() error {
	for c.w-c.r < len(preface) {
		if err := c.fill(); err != nil {
			return err
		}
	}
	if string(c.in[c.r:c.r+len(preface)]) != preface {
		return &connError{codeProtocol, "no preface of HTTP/2"}
	}
	c.r += len(preface)
	c.prefaced = true
	return nil
}

// next reads a frame.
func (c *conn) next() (frame, error) {
	for c.w-c.r < frameHeadBytes {
		if err := c.fill(); err != nil {
			return frame{}, err
		}
	}
	length, f := parseFrameHead(c.in[c.r:])
	if length > maxFrameBytes {
		return f, &connError{codeFrameSize, "a frame is too large"}
	}
	for c.w-c.r < frameHeadBytes+length {
		if c.since.IsZero() && f.kind != frameData {
			c.since = time.Now()
		}
		if err := c.fill(); err != nil {
			return f, err
		}
	}
	if !c.head.open && c.settled {
		c.since = time.Time{}
	}
	f.payload = c.in[c.r+frameHeadBytes : c.r+frameHeadBytes+length]
	c.r += frameHeadBytes + length
	return f, nil
}

// fill reads more than there is.
func (c *conn) fill() error {
	c.makeRoom()
	for {
		now := time.Now()
		patience := c.server.o.PingAfter
		switch {
		case !c.since.IsZero():
			if patience = c.server.o.HeadTimeout - now.Sub(c.since); patience <= 0 {
				return errSlow
			}
		case c.pinged:
			patience = c.server.o.PingTimeout
		}
		c.read.Within(c.net.SetReadDeadline, now, patience)
		if c.isOver() { // it may just have been said, by a deadline that is gone now
			return errOver
		}
		n, err := c.net.Read(c.in[c.w:])
		if n > 0 {
			c.w += n
			c.quietSince, c.pinged = now, false
			return nil
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		c.read = limit.Deadline{}
		if err := c.quiet(); err != nil {
			return err
		}
	}
}

func (c *conn) makeRoom() {
	if c.r == c.w {
		c.r, c.w = 0, 0
		if len(c.in) > startBytes && c.idle() {
			c.in = make([]byte, startBytes)
		}
		return
	}
	if c.r > 0 {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.in) || len(c.in) == startBytes && c.w >= frameHeadBytes {
		if length, _ := parseFrameHead(c.in); c.prefaced && length+frameHeadBytes > len(c.in) {
			larger := make([]byte, frameHeadBytes+maxFrameBytes)
			copy(larger, c.in[:c.w])
			c.in = larger
		}
	}
}

func (c *conn) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams) == 0
}

func (c *conn) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// quiet decides what becomes of a client that has sent nothing for a while.
func (c *conn) quiet() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over:
		return errOver
	case !c.since.IsZero():
		return errSlow
	case len(c.streams) == 0:
		if time.Since(c.idleSince) >= time.Duration(c.server.idle.Load()) {
			return errIdle
		}
	case c.pinged:
		return errDead
	default:
		c.pinged = true
		c.out = appendPing(c.out, 0, [8]byte{'a', 'l', 'i', 'v', 'e'})
		c.wake.Signal()
	}
	return nil
}

// retire asks the client to take its next requests elsewhere. It is told twice: those
// that are on their way to us when it hears of it are still served. RFC 9113 §6.8
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retireLocked()
}

// finalAfter is when a client that does not answer is told the last stream.
const finalAfter = time.Second

// farewell marks the ping whose answer tells that the client has heard of it.
var farewell = [8]byte{'f', 'a', 'r', 'e', 'w', 'e', 'l', 'l'}

func (c *conn) retireLocked() {
	if c.retiring {
		return
	}
	c.retiring = true
	c.out = appendPing(appendGoAway(c.out, maxStreamID, codeNone), 0, farewell)
	c.wake.Signal()
	time.AfterFunc(finalAfter, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.finalLocked()
	})
}

// finalLocked is when no further stream is begun.
func (c *conn) finalLocked() {
	if c.final {
		return
	}
	c.final = true
	c.out = appendGoAway(c.out, c.last, codeNone)
	c.wake.Signal()
	c.endIfDone()
}

// endIfDone ends the connection after its last stream.
func (c *conn) endIfDone() {
	if c.final && len(c.streams) == 0 && !c.over {
		c.over = true
		_ = c.net.SetReadDeadline(time.Unix(1, 0)) // the reader sees that it is over
	}
}

// breakOff ends the connection at once.
func (c *conn) breakOff() {
	below := c.net
	for {
		layer, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		below = layer.NetConn()
	}
	_ = below.Close()
}

// The last words to a client, and how long and how much it is still listened to: a
// reset would take them away.
const (
	lastWords   = 5 * time.Second
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// finish ends the connection for a reason.
func (c *conn) finish(reason error) {
	c.mu.Lock()
	switch fault, ok := errors.AsType[*connError](reason); {
	case ok:
		c.out = appendGoAway(c.out, c.last, fault.code)
	case errors.Is(reason, errIdle), errors.Is(reason, errDead), errors.Is(reason, errSlow):
		c.out = appendGoAway(c.out, c.last, codeNone)
	}
	c.ending = true
	gone := make([]*stream, 0, len(c.streams))
	for _, st := range c.streams {
		gone = append(gone, st)
		c.closeStream(st, io.ErrUnexpectedEOF)
	}
	broken := c.broken
	c.mu.Unlock()
	for _, st := range gone {
		st.interest.Lose(exchange.ErrClientGone)
	}
	if !broken {
		_ = c.net.SetWriteDeadline(time.Now().Add(lastWords)) // also of what is being written
	}
	c.wake.Signal()
	<-c.written
	c.linger()
	_ = c.net.Close()
}

func (c *conn) linger() {
	half, ok := c.net.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.net.SetReadDeadline(time.Now().Add(lingerTime)) // what follows tells what is wrong
	var sink [4 << 10]byte
	for left := lingerBytes; left > 0; {
		n, err := c.net.Read(sink[:])
		if err != nil {
			return
		}
		left -= n
	}
}
