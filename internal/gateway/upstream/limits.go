// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"io"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// limits are how long the requests of a route may take with an endpoint. Of these 0
// is none, and for connect the default.
type limits struct {
	connect, head, idle, total time.Duration
}

func newLimits(t *config.RouteTimeouts, s *config.Transport) limits {
	l := limits{head: seconds(s.ResponseHeaderTimeout, 0)}
	if t == nil {
		return l
	}
	l.connect, l.idle, l.total = t.Connect.Std(), t.Idle.Std(), t.Total.Std()
	if t.ResponseHeader > 0 {
		l.head = t.ResponseHeader.Std()
	}
	return l
}

// Deadline is when a request that begins now must be over; zero is never.
func (e *Endpoint) Deadline(now time.Time) time.Time {
	if e.limits.total <= 0 {
		return time.Time{}
	}
	return now.Add(e.limits.total)
}

// timeLimit is the error for a limit of a route. It is a net.Error.
type timeLimit string

func (e timeLimit) Error() string { return "the endpoint has exceeded the limit timeouts." + string(e) }

// Timeout implements net.Error.
func (e timeLimit) Timeout() bool { return true }

// Temporary implements net.Error.
func (e timeLimit) Temporary() bool { return false }

const (
	errTotal = timeLimit("total")
	errHead  = timeLimit("responseHeader")
	errIdle  = timeLimit("idle")
)

// connSource is what a Conn reads from.
type connSource Conn

// Read implements io.Reader. In the body of a response each read has the limit for
// pauses.
func (s *connSource) Read(p []byte) (int, error) {
	if s.limits.idle > 0 && s.Head.Status >= 200 && s.answered {
		s.read.Within(s.conn.SetReadDeadline, time.Now(), s.limits.idle)
	}
	n, err := s.conn.Read(p)
	return n, (*Conn)(s).reason(err)
}

// reason gives the limit that has cut the connection, in place of what that looks
// like.
func (c *Conn) reason(err error) error {
	if err != nil && c.expired.Load() {
		return errTotal
	}
	return err
}

// until has the connection cut at a deadline, if there is one.
func (c *Conn) until(deadline time.Time) {
	c.expired.Store(false)
	c.timer = nil
	if !deadline.IsZero() {
		c.timer = time.AfterFunc(time.Until(deadline), func() {
			c.expired.Store(true)
			c.Cut()
		})
	}
}

// inTime ends the watch over the deadline, and tells that it has not struck.
func (c *Conn) inTime() bool {
	if c.timer == nil {
		return true
	}
	timer := c.timer
	c.timer = nil
	return timer.Stop()
}

// idleBody cuts a response that pauses for too long.
type idleBody struct {
	io.ReadCloser

	limit time.Duration
	timer *time.Timer
}

func newIdleBody(body io.ReadCloser, limit time.Duration, cut func()) *idleBody {
	timer := time.AfterFunc(limit, cut)
	timer.Stop()
	return &idleBody{body, limit, timer}
}

// Read implements io.Reader.
func (b *idleBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.limit)
	defer b.timer.Stop()
	return b.ReadCloser.Read(p)
}
