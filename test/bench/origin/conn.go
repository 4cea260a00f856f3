// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// conn is what is known of one connection between two events.
type conn struct {
	in      []byte // the beginning of a head
	skip    int    // bytes of a request body that are still to come
	out     []byte // bytes of answers that are not written yet
	waiting bool   // for room in the socket
}

// The answers, which are shared by all connections and never written to.
var (
	small  = answer(1 << 10)
	medium = answer(64 << 10)
	large  = answer(1 << 20)
)

func answer(size int) []byte {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
	return append([]byte(head), bytes.Repeat([]byte("x"), size)...)
}

// feed takes what was read and appends the answers to all requests that are
// complete.
func (c *conn) feed(b []byte) {
	b = c.discard(b)
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	for len(b) > 0 {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			break
		}
		head := b[:end+2]
		c.skip = contentLength(head)
		b = c.discard(b[end+4:])
		c.respond(head)
	}
	c.in = append(c.in[:0], b...)
}

// discard leaves out what belongs to a request body.
func (c *conn) discard(b []byte) []byte {
	n := min(c.skip, len(b))
	c.skip -= n
	return b[n:]
}

func (c *conn) respond(head []byte) {
	r := small
	switch line := head[:bytes.IndexByte(head, '\r')]; {
	case bytes.Contains(line, []byte("/64k ")):
		r = medium
	case bytes.Contains(line, []byte("/1m ")):
		r = large
	}
	if len(c.out) == 0 {
		c.out = r
		return
	}
	c.out = append(bytes.Clone(c.out), r...)
}

// contentLength reads the header of a head, or gives 0.
func contentLength(head []byte) int {
	const name = "\r\ncontent-length:"
	i := indexFold(head, name)
	if i < 0 {
		return 0
	}
	value := head[i+len(name):]
	n, _ := strconv.Atoi(string(bytes.TrimSpace(value[:bytes.IndexByte(value, '\r')])))
	return n
}

// indexFold looks for a needle of lower-case ASCII in any case.
func indexFold(b []byte, needle string) int {
next:
	for i := 0; i+len(needle) <= len(b); i++ {
		for j := range len(needle) {
			ch := b[i+j]
			if 'A' <= ch && ch <= 'Z' {
				ch |= 0x20
			}
			if ch != needle[j] {
				continue next
			}
		}
		return i
	}
	return -1
}
