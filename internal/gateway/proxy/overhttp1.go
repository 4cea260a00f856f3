// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// call is one request on its way to an endpoint that speaks HTTP/1.1.
type call struct {
	h *handler
	w http.ResponseWriter
	r *http.Request
	x *exchange.Exchange
	e *upstream.Endpoint
	c *upstream.Conn

	upgrade string
	// deadline is when the request must be over; zero is never.
	deadline time.Time
	// upload is the body on its way; nil when there is none, or it has been sent.
	upload *upload
}

// overHTTP1 takes a request to an endpoint and its response back.
func (h *handler) overHTTP1(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, e *upstream.Endpoint, upgrade string) {
	interest, stop := exchange.InterestOf(r.Context())
	defer stop()
	a := call{h: h, w: w, r: r, x: x, e: e, upgrade: upgrade}
	if err := a.sendFirst(interest); err != nil {
		fail(w, r, x, err)
		return
	}
	defer a.e.Leave()
	status := a.c.Head.Status
	if status == http.StatusSwitchingProtocols {
		note(a.e, status, nil, false)
		a.tunnel()
		return
	}
	err := a.answer()
	a.finish()
	note(a.e, status, err, gone(r))
	if err != nil {
		x.Reason = reasonAborted
		if _, theirs := errors.AsType[*errWrite](err); theirs || gone(r) {
			x.Reason = reasonClientGone
		}
		panic(http.ErrAbortHandler)
	}
}

// sendFirst sends the request to the endpoint, or to one other; see
// handler.sendFirst.
func (a *call) sendFirst(i *exchange.Interest) error {
	a.deadline = a.e.Deadline(time.Now())
	for moved := false; ; moved = true {
		now := choose(a.x, a.e)
		a.e.Enter()
		err := a.send(i, now)
		a.x.UpstreamTook = time.Since(now)
		if err == nil {
			return nil
		}
		a.e.Leave()
		note(a.e, 0, err, gone(a.r))
		other := a.h.elsewhere(upstream.Of(a.r), a.e, err)
		if moved || other == nil {
			return err
		}
		again(a.x, other)
		a.e = other
	}
}

// send sends the request and reads the head of the final response; see
// handler.send.
func (a *call) send(i *exchange.Interest, now time.Time) error {
	for fresh, stale := false, false; ; fresh = !stale {
		var err error
		if a.c, err = a.e.ConnectBy(i, now, fresh, a.deadline); err != nil {
			return err
		}
		if fresh {
			again(a.x, a.e)
		}
		if err = a.sendOn(); err == nil {
			return nil
		}
		again := !fresh && a.c.MaySendAgain(a.r.Method, hasBody(a.r))
		stale = a.c.Stale()
		a.c.Drop()
		if a.upload != nil {
			err = a.upload.blame(err)
		}
		if !again {
			return err
		}
	}
}

func (a *call) sendOn() error {
	c, r := a.c, a.r
	body := hasBody(r)
	wait := body && r.ProtoAtLeast(1, 1) && strings.EqualFold(r.Header.Get("Expect"), "100-continue")
	c.Out = a.h.appendRequest(c.Out[:0], r, a.x, a.e, a.upgrade, wait)
	if binds(r.Header) {
		c.Bind()
	}
	if err := inCircles(a.x); err != nil {
		return err
	}
	err := c.Send(time.Now(), !body)
	if err != nil && (!body || c.Stale()) {
		return err
	}
	if !body {
		return a.head()
	}
	if wait {
		final, err := a.permission()
		if final || err != nil {
			return err
		}
	}
	a.upload = startUpload(c, r)
	return a.head()
}

// continueTimeout is how long the endpoint may leave a client waiting that asks
// whether to send its body (RFC 9110 §10.1.1).
const continueTimeout = time.Second

// permission waits for the endpoint to ask for the body. It is final when there is
// a response instead.
func (a *call) permission() (final bool, err error) {
	for interim := 0; ; interim++ {
		came, err := a.c.ReadHeadWithin(a.r.Method, continueTimeout)
		switch {
		case err != nil:
			return false, err
		case !came || a.c.Head.Status == http.StatusContinue:
			return false, nil
		case a.c.Head.Status >= http.StatusOK:
			return true, nil
		}
		if err := a.inform(interim); err != nil {
			return false, err
		}
	}
}

// head reads the head of the final response, or of a switch of protocols that was
// asked for, and passes the informational ones on.
func (a *call) head() error {
	for interim := 0; ; interim++ {
		if err := a.c.ReadHead(a.r.Method); err != nil {
			return err
		}
		switch status := a.c.Head.Status; {
		case status >= http.StatusOK:
			return nil
		case status == http.StatusSwitchingProtocols && a.upgrade != "":
			if strings.EqualFold(a.upgrade, string(a.c.Head.Upgrade())) {
				return nil
			}
			return errUnsolicited
		}
		if err := a.inform(interim); err != nil {
			return err
		}
	}
}

// inform passes an informational response on. H7
func (a *call) inform(count int) error {
	switch status := a.c.Head.Status; {
	case count >= maxInformational:
		return errTooMany
	case status == http.StatusSwitchingProtocols:
		return errUnsolicited
	case status == http.StatusContinue, status == http.StatusProcessing, !a.r.ProtoAtLeast(1, 1):
		return nil
	default:
		h := http.Header{}
		setHeader(h, &a.c.Head)
		informOf(a.w, status, h)
		return nil
	}
}

// setHeader sets the fields of a response that do not end here.
func setHeader(h http.Header, p *http1.Response) {
	text := string(p.Bytes)
	values := make([]string, 0, len(p.Fields))
	seen := len(h) > 0
	for i := range p.Fields {
		f := &p.Fields[i]
		if f.ID == http1.TransferEncoding || p.EndsHereIn(text, f) {
			continue
		}
		name, value := downstream.Canonical(f.Name.In(text)), f.Value.In(text)
		before, ok := h[name]
		if ok && (!seen || follows(p, text, i)) {
			h[name] = append(before, value)
			continue
		}
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
}

// follows tells that a field has come before, so that its line is added to that one
// and does not take the place of what a middleware had set.
func follows(p *http1.Response, text string, i int) bool {
	for k := range i {
		if strings.EqualFold(p.Fields[k].Name.In(text), p.Fields[i].Name.In(text)) {
			return true
		}
	}
	return false
}

// answer passes the response on.
func (a *call) answer() error {
	p, h := &a.c.Head, a.w.Header()
	setHeader(h, p)
	if _, typed := h["Content-Type"]; !typed {
		h["Content-Type"] = nil // or the server would guess one
	}
	announced := announced(p)
	if len(announced) > 0 {
		h["Trailer"] = []string{strings.Join(announced, ", ")}
	}
	a.h.stick(h, a.r, a.x, a.e)
	a.w.WriteHeader(p.Status)
	length := p.Length
	if length < 0 {
		length = -1
	}
	if err := stream(a.w, &a.c.Body, length); err != nil {
		return err
	}
	t := a.c.Body.Trailer()
	for i := range t.Fields {
		f := &t.Fields[i]
		name := http.CanonicalHeaderKey(string(f.Name.Of(t.Bytes)))
		if !contains(announced, name) {
			name = http.TrailerPrefix + name
		}
		h[name] = append(h[name], string(f.Value.Of(t.Bytes)))
	}
	return nil
}

// announced gives the names of the trailers that may pass.
func announced(p *http1.Response) (names []string) {
	if p.Length != http1.Chunked {
		return nil
	}
	for i := range p.Fields {
		if f := &p.Fields[i]; f.ID == http1.Trailer {
			names = append(names, trailerNames(string(f.Value.Of(p.Bytes)))...)
		}
	}
	return names
}

func trailerNames(list string) (names []string) {
	for name := range strings.SplitSeq(list, ",") {
		name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
		if http1.ValidName(name) && trailerPasses(name) && !contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func contains(list []string, want string) bool {
	for _, s := range list {
		if s == want {
			return true
		}
	}
	return false
}

// finish gives the connection back. With the body still on its way it ends, which
// ends the upload too. H4
func (a *call) finish() {
	if a.upload == nil {
		a.c.Release()
		return
	}
	if a.upload.sent() {
		a.c.Sent()
		a.c.Release()
		return
	}
	a.c.Drop()
}

// tunnel hands the connection to the client.
func (a *call) tunnel() {
	h := http.Header{}
	setHeader(h, &a.c.Head)
	a.h.stick(h, a.r, a.x, a.e)
	got := string(a.c.Head.Upgrade())
	ahead := bytes.Clone(a.c.Buffered())
	conn := a.c.Net()
	defer a.c.Release()
	tunnel(a.w, a.r, a.x, got, h, taken{io.MultiReader(bytes.NewReader(ahead), conn), conn})
}

// taken is a connection that was taken over, with what had been read of it.
type taken struct {
	io.Reader
	net.Conn
}

// Read implements io.Reader.
func (t taken) Read(p []byte) (int, error) { return t.Reader.Read(p) }

// CloseWrite ends one half.
func (t taken) CloseWrite() error { return closeWrite(t.Conn) }

// upload is a body on its way to an endpoint, in a goroutine of its own, since the
// response may come before its end.
type upload struct {
	body requestBody
	done chan struct{}
	// last is closed when only the last write is left to do.
	last chan struct{}
	// whole: all of it was written. Set before done is closed.
	whole bool
}

func startUpload(c *upstream.Conn, r *http.Request) *upload {
	u := &upload{body: requestBody{src: r.Body}, done: make(chan struct{}), last: make(chan struct{})}
	go func() {
		defer close(u.done)
		defer func() {
			if recover() != nil { // E5: a body of a middleware
				c.Cut()
			}
		}()
		u.whole = u.run(c, r)
	}()
	return u
}

// run copies the body. A client that does not send it all is told apart from an
// endpoint that does not take it: only the first ends the request. U3, H11
func (u *upload) run(c *upstream.Conn, r *http.Request) bool {
	buffer := buffers.Get().(*[bufferBytes]byte) //nolint:forcetypeassert // there is nothing else in it
	defer buffers.Put(buffer)
	chunked := r.ContentLength < 0
	var out []byte
	left := r.ContentLength
	for {
		n, err := u.body.Read(buffer[:])
		if n > 0 {
			part := buffer[:n]
			if chunked {
				out = http1.AppendChunk(out[:0], part)
				part = out
			}
			if left -= int64(n); !chunked && left < 0 {
				c.Cut()
				return false
			}
			if !chunked && left == 0 {
				close(u.last)
			}
			if _, err := c.Write(part); err != nil {
				return false
			}
		}
		if !chunked && left == 0 {
			return true // a read for the end would be one more
		}
		if chunked && errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			u.body.fault(err)
			c.Cut()
			return false
		}
	}
	close(u.last)
	out = append(out[:0], "0\r\n"...)
	for name, values := range r.Trailer {
		for _, value := range values {
			if trailerPasses(name) && http1.ValidName(name) && http1.ValidValue(value) {
				out = http1.AppendField(out, name, value)
			}
		}
	}
	_, err := c.Write(append(out, "\r\n"...))
	return err == nil
}

// lastWrite is how long the end of a body may take once its answer is there: most
// often it has been written, and the goroutine has only not come to say so.
const lastWrite = 100 * time.Millisecond

// sent tells that all of the body is with the endpoint.
func (u *upload) sent() bool {
	select {
	case <-u.last:
	case <-u.done:
	default:
		return false
	}
	select {
	case <-u.done:
		return u.whole
	case <-time.After(lastWrite):
		return false
	}
}

// blame gives the error of the client's body when there is one.
func (u *upload) blame(err error) error { return u.body.blame(err) }
