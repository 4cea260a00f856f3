// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// crossOrigin is what a browser would send along in the chain.
const crossOrigin = "https://app.example.test"

// head is the request for a route.
func (t *instance) head(r Route, more string) string {
	head := "GET " + r.Prefix + "x HTTP/1.1\r\nHost: " + r.host() + "\r\n" + more
	for name, value := range t.headers() {
		head += name + ": " + value + "\r\n"
	}
	return head + "\r\n"
}

// headers are those that requests of a scenario carry.
func (t *instance) headers() map[string]string {
	if !t.settings.Chain {
		return nil
	}
	return map[string]string{"Authorization": "Bearer " + token(t.settings.JWTSecret), "Origin": crossOrigin}
}

func (t *instance) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(t.settings.Port))
}

// probe makes one request for a route and gives its status, or 0.
func (t *instance) probe(r Route) int {
	c, err := net.DialTimeout("tcp", t.address(), time.Second) //nolint:noctx // it has a limit of its own
	if err != nil {
		return 0
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second)) // the read tells
	if _, err := io.WriteString(c, t.head(r, "Connection: close\r\n")); err != nil {
		return 0
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// result is what became of one request.
type result byte

const (
	served      result = iota
	wrongStatus        // not 200
	cut                // a kept connection was closed in place of an answer
	failed             // anything else
)

// event is one request of a paced client.
type event struct {
	at   time.Time
	took time.Duration
	kind result
}

// paced sends a request over one connection again and again, not faster than
// every interval, until done is closed.
type paced struct {
	target   *instance
	routes   []Route
	interval time.Duration

	conn   net.Conn
	in     *bufio.Reader
	reused bool
}

func (p *paced) run(first, step int, done <-chan struct{}) (events []event) {
	defer func() {
		if p.conn != nil {
			p.conn.Close()
		}
	}()
	next := time.Now()
	for n := first; ; n += step {
		next = next.Add(p.interval)
		select {
		case <-done:
			return events
		case <-time.After(time.Until(next)):
		}
		e := event{at: time.Now()}
		e.kind = p.ask(p.routes[n%len(p.routes)])
		e.took = time.Since(e.at)
		events = append(events, e)
	}
}

// ask makes one request, on the connection that is there.
func (p *paced) ask(r Route) result {
	if p.conn == nil {
		c, err := net.DialTimeout("tcp", p.target.address(), 5*time.Second) //nolint:noctx // it has a limit of its own
		if err != nil {
			return failed
		}
		p.conn, p.in, p.reused = c, bufio.NewReader(c), false
	}
	kind, keep := p.exchange(r)
	p.reused = true
	if !keep {
		p.conn.Close()
		p.conn = nil
	}
	return kind
}

func (p *paced) exchange(r Route) (kind result, keep bool) {
	silent := failed
	if p.reused {
		silent = cut
	}
	_ = p.conn.SetDeadline(time.Now().Add(10 * time.Second)) // the read tells
	if _, err := fmt.Fprint(p.conn, p.target.head(r, "")); err != nil {
		return silent, false
	}
	if _, err := p.in.Peek(1); err != nil {
		return silent, false
	}
	res, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return failed, false
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return failed, false
	}
	if res.StatusCode != http.StatusOK {
		return wrongStatus, !res.Close
	}
	return served, !res.Close
}
