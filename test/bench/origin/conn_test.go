// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRequestsAreAnsweredInOrderHoweverTheyArrive(t *testing.T) {
	t.Parallel()
	stream := "GET / HTTP/1.1\r\nHost: a\r\n\r\n" +
		"POST /x HTTP/1.1\r\nHost: a\r\nCONTENT-length: 7\r\n\r\nGET /1m" +
		"GET /64k HTTP/1.1\r\nHost: a\r\n\r\n"
	want := bytes.Join([][]byte{small, small, medium}, nil)
	for _, step := range []int{1, 2, 3, 7, 16, len(stream)} {
		c := &conn{}
		for rest := stream; rest != ""; {
			n := min(step, len(rest))
			c.feed([]byte(rest[:n]))
			rest = rest[n:]
		}
		if !bytes.Equal(c.out, want) {
			t.Errorf("in pieces of %d: %d bytes of answers instead of %d", step, len(c.out), len(want))
		}
		if len(c.in) != 0 || c.skip != 0 {
			t.Errorf("in pieces of %d: %q and %d bytes of a body are left", step, c.in, c.skip)
		}
	}
}

func TestAnAnswerIsNotChangedByTheOneBehindIt(t *testing.T) {
	t.Parallel()
	before := bytes.Clone(small)
	c := &conn{}
	c.feed([]byte(strings.Repeat("GET / HTTP/1.1\r\n\r\n", 3)))
	if len(c.out) != 3*len(small) || !bytes.Equal(small, before) {
		t.Errorf("%d bytes, shared answer intact: %v", len(c.out), bytes.Equal(small, before))
	}
}
