// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"net/http"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// target is what the path of an exchange does not tell.
type target struct {
	query string
	asked bool
	// deadline is when the request must be over; zero is never.
	deadline time.Time
}

// maxDirectBody is up to where a body is sent before the response is read. A
// larger one may have to be given up half-way.
const maxDirectBody = 64 << 10

// Direct takes a request from a client to an endpoint and its response back,
// without making an *http.Request of it. It is false for one that it leaves to
// ServeHTTP. What is to be answered in place of the backend is a handler.
func (h *handler) Direct(s *downstream.Stream, query string, asked bool) (served bool, other http.Handler) {
	if s.Head.Continue || s.Head.Upgrade() != nil || s.Head.Length < 0 || s.Head.Length > maxDirectBody {
		return false, nil
	}
	if !h.cluster.SpeaksHTTP1() {
		return false, nil
	}
	q := (*streamed)(s)
	e, err := h.cluster.Pick(q)
	if err != nil {
		return false, instead{err}
	}
	x := s.Exchange()
	c, e, err := h.sendFirst(s, x, target{query: query, asked: asked}, e)
	if err != nil {
		return false, instead{err}
	}
	defer e.Leave()
	defer c.Release()
	status := c.Head.Status
	err = answer(s, c, h.cluster.Cookie(q, e, x.Scheme == "https"))
	note(e, status, err, err != nil && s.Interest().Err() != nil)
	if err != nil {
		x.Flags |= exchange.Aborted
		x.Reason = reasonAborted
		if _, theirs := errors.AsType[*errWrite](err); theirs || s.Interest().Err() != nil {
			x.Reason = reasonClientGone
		}
		s.Abort()
	}
	return true, nil
}

// sendFirst sends a request to an endpoint, or, if there is no connection to that,
// to one other. The caller leaves the endpoint that it gives.
func (h *handler) sendFirst(s *downstream.Stream, x *exchange.Exchange, t target, e *upstream.Endpoint) (*upstream.Conn, *upstream.Endpoint, error) {
	t.deadline = e.Deadline(time.Now())
	for moved := false; ; moved = true {
		now := choose(x, e)
		e.Enter()
		c, err := h.send(s, x, t, e, now)
		x.UpstreamTook = time.Since(now)
		if err == nil {
			return c, e, nil
		}
		e.Leave()
		note(e, 0, err, s.Interest().Err() != nil)
		other := h.elsewhere((*streamed)(s), e, err)
		if moved || other == nil {
			return nil, nil, err
		}
		again(x, other)
		e = other
	}
}

// instead answers for a backend that did not.
type instead struct{ err error }

// ServeHTTP implements http.Handler.
func (f instead) ServeHTTP(w http.ResponseWriter, r *http.Request) { fail(w, r, exchange.Of(r), f.err) }

// send sends a request and reads the head of its final response. It is sent again,
// once, on a connection of its own, when the one that was used turns out to have
// been closed while it idled, and the request may be sent twice. U2, U3
func (h *handler) send(s *downstream.Stream, x *exchange.Exchange, t target, e *upstream.Endpoint, now time.Time) (*upstream.Conn, error) {
	var stale bool
	for fresh := false; ; fresh = !stale {
		c, err := e.ConnectBy(s.Interest(), now, fresh, t.deadline)
		if err != nil {
			return nil, err
		}
		if fresh {
			again(x, e)
		}
		if err = h.sendOn(c, s, x, t, e); err == nil {
			return c, nil
		}
		again := !fresh && c.MaySendAgain(s.Method(), s.Head.Length > 0)
		stale = c.Stale()
		if c.Drop(); !again {
			return nil, err
		}
	}
}

func (h *handler) sendOn(c *upstream.Conn, s *downstream.Stream, x *exchange.Exchange, t target, e *upstream.Endpoint) error {
	c.Out = h.appendStream(c.Out[:0], s, x, t, e)
	if f, ok := s.Head.Find(http1.Authorization); ok && bindsConnection(f.Value.In(s.Text)) {
		c.Bind()
	}
	if err := inCircles(x); err != nil {
		return err
	}
	if err := pour(c, s); err != nil {
		return err
	}
	// An endpoint that has answered early may have ended its half: the answer
	// tells more than the error.
	for interim := 0; ; interim++ {
		if err := c.ReadHead(s.Method()); err != nil {
			return err
		}
		if c.Head.Status >= http.StatusOK {
			return nil
		}
		if err := passInterim(s, c, interim); err != nil {
			return err
		}
	}
}

// pour sends the head that is in c.Out and the body. An error is one that there is no
// answer behind.
func pour(c *upstream.Conn, s *downstream.Stream) error {
	if body, whole := s.Whole(); whole {
		c.Out = append(c.Out, body...)
		err := c.Send(time.Now(), true)
		if c.Stale() {
			return err
		}
		return nil
	}
	if err := c.Look(); err != nil {
		return err
	}
	buffer := buffers.Get().(*[bufferBytes]byte) //nolint:forcetypeassert // there is nothing else in it
	defer buffers.Put(buffer)
	out := outlet{c: c}
	// With a head that leaves little room, or a client that has not sent on, the
	// endpoint is told first.
	n := 0
	if len(c.Out) > bufferBytes/2 || !s.More() {
		out.send(c.Out, false)
	} else {
		n = copy(buffer[:], c.Out)
	}
	for out.err == nil && !s.BodyEnded() {
		k, err := s.Read(buffer[n:])
		if errors.Is(err, downstream.ErrPause) {
			if n > 0 {
				out.send(buffer[:n], false)
				n = 0
			}
			if c.Over() {
				return nil // the answer, or the end, is there before the whole request
			}
			continue
		}
		if err != nil && !s.BodyEnded() {
			return &errBody{err}
		}
		if n += k; s.More() && n <= bufferBytes/2 {
			continue
		}
		out.send(buffer[:n], s.BodyEnded())
		n = 0
	}
	return nil
}

// outlet sends a request in parts, the first of which begins with its head.
type outlet struct {
	c     *upstream.Conn
	begun bool
	err   error
}

func (o *outlet) send(part []byte, last bool) {
	if !o.begun {
		o.begun = true
		head := o.c.Out
		o.c.Out = part
		o.err = o.c.Send(time.Now(), last)
		o.c.Out = head
		return
	}
	if _, o.err = o.c.Write(part); last && o.err == nil {
		o.c.Sent()
	}
}

// passInterim passes an informational response on. H7
func passInterim(s *downstream.Stream, c *upstream.Conn, count int) error {
	switch status := c.Head.Status; {
	case count >= maxInformational:
		return errTooMany
	case status == http.StatusSwitchingProtocols:
		return errUnsolicited
	case status == http.StatusContinue, status == http.StatusProcessing:
		return nil // they concern the hop to the backend alone
	default:
		if err := s.Interim(status, appendPassing(nil, &c.Head)); err != nil {
			return &errWrite{err}
		}
		return nil
	}
}

// appendPassing appends the fields of a response that do not end here.
func appendPassing(dst []byte, p *http1.Response) []byte {
	for i := range p.Fields {
		f := &p.Fields[i]
		switch f.ID {
		case http1.ContentLength, http1.TransferEncoding, http1.Server:
			continue
		default:
		}
		if name := f.Name.Of(p.Bytes); !p.EndsHere(f) && !observe.Sets(name) {
			dst = http1.AppendField(dst, name, f.Value.Of(p.Bytes))
		}
	}
	return dst
}

// answer passes the response on, with one more cookie if it is not empty.
func answer(s *downstream.Stream, c *upstream.Conn, cookie string) error {
	p := &c.Head
	head := appendPassing(s.Begin(p.Status), p)
	if _, dated := p.Find(http1.Date); !dated {
		head = http1.AppendDate(head, time.Now())
	}
	if cookie != "" {
		head = http1.AppendField(head, "Set-Cookie", cookie)
	}
	head = observe.AppendFields(head, s.Exchange())
	length := p.Length
	switch {
	case s.Bodiless(p.Status):
		if length = downstream.Unknown; p.Status != http.StatusNoContent {
			if f, ok := p.Get(http1.ContentLength); ok {
				length = parseLength(f)
			}
		}
	case length < 0:
		length = downstream.Unknown
		head = appendAnnounced(head, p)
	}
	s.Start(head, length)
	if err := pass(s, c); err != nil {
		return err
	}
	return sent(s.SendEnd(appendTrailer(nil, c.Body.Trailer())))
}

func sent(err error) error {
	if err != nil {
		return &errWrite{err}
	}
	return nil
}

// parseLength reads a number that the parser has found to be one.
func parseLength(digits []byte) (n int64) {
	for _, d := range digits {
		n = n*10 + int64(d-'0')
	}
	return n
}

// appendAnnounced appends the names of the trailers that may pass.
func appendAnnounced(head []byte, p *http1.Response) []byte {
	for i := range p.Fields {
		if f := &p.Fields[i]; f.ID == http1.Trailer {
			for _, name := range trailerNames(string(f.Value.Of(p.Bytes))) {
				head = http1.AppendField(head, "Trailer", name)
			}
		}
	}
	return head
}

// spliceBytes is from where a body is worth staying in the kernel.
const spliceBytes = 256 << 10

// pass passes the body on. What there is of it leaves together with the head, and
// whenever the backend pauses. H8
func pass(s *downstream.Stream, c *upstream.Conn) error {
	if whole, ok := c.Body.Whole(); ok || c.Body.Ended() {
		return sent(s.Send(whole))
	}
	if c.Head.Length > 0 && c.Body.Ready() {
		first, err := c.Body.Next()
		if err != nil {
			return err
		}
		if err := s.Send(first); err != nil {
			return &errWrite{err}
		}
	}
	if left := c.Body.Left(); left >= spliceBytes && c.TCP() != nil && s.Plain() {
		if done, err := splice(s, c, left); done {
			return err
		}
	}
	return copyBody(s, c)
}

// splice passes a large rest on within the kernel, where that can be done.
func splice(s *downstream.Stream, c *upstream.Conn, left int64) (done bool, err error) {
	if err := s.Flush(); err != nil {
		return true, &errWrite{err}
	}
	n, err := s.SendFrom(c.TCP(), left)
	c.Body.Took(n)
	if err != nil && s.Broken() {
		return true, &errWrite{err}
	}
	return !errors.Is(err, errors.ErrUnsupported), err
}

func copyBody(s *downstream.Stream, c *upstream.Conn) error {
	buffer := buffers.Get().(*[bufferBytes]byte) //nolint:forcetypeassert // there is nothing else in it
	defer buffers.Put(buffer)
	for !c.Body.Ended() {
		if !c.Body.Ready() {
			if err := s.Flush(); err != nil {
				return &errWrite{err}
			}
		}
		n, err := c.Body.Read(buffer[:])
		if n > 0 {
			if err := s.Send(buffer[:n]); err != nil {
				return &errWrite{err}
			}
		}
		if err != nil && !c.Body.Ended() {
			return err
		}
	}
	return nil
}

func appendTrailer(dst []byte, t *http1.Head) []byte {
	for i := range t.Fields {
		f := &t.Fields[i]
		dst = http1.AppendField(dst, f.Name.Of(t.Bytes), f.Value.Of(t.Bytes))
	}
	return dst
}
