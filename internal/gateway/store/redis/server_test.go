// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// server speaks as much of the protocol of Redis as the client asks for. What it
// says is decided by answer, which gets each command; an empty answer closes the
// connection. Package test/peers/redis has the real one.
type server struct {
	listener net.Listener

	mu    sync.Mutex
	calls [][]string
}

func newServer(t *testing.T, answer func(command []string) string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: l}
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			connections.Go(func() { s.serve(c, answer) })
		}
	})
	t.Cleanup(connections.Wait)
	t.Cleanup(func() { _ = l.Close() })
	return s
}

func (s *server) addr() string { return s.listener.Addr().String() }

func (s *server) serve(c net.Conn, answer func([]string) string) {
	defer c.Close() //nolint:errcheck // a test
	r := bufio.NewReader(c)
	for {
		command, err := read(r)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.calls = append(s.calls, command)
		s.mu.Unlock()
		text := answer(command)
		if strings.EqualFold(command[0], "hello") && text != "" {
			text = "-ERR unknown command, as servers before Redis 6 say\r\n"
		}
		if text == "" {
			return
		}
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

// seen gives the commands of a kind.
func (s *server) seen(name string) (calls [][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range s.calls {
		if strings.EqualFold(call[0], name) {
			calls = append(calls, call)
		}
	}
	return calls
}

// read reads one command, a list of texts.
func read(r *bufio.Reader) ([]string, error) {
	count, err := number(r, '*')
	if err != nil {
		return nil, err
	}
	command := make([]string, count)
	for i := range command {
		length, err := number(r, '$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, length+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		command[i] = string(text[:length])
	}
	return command, nil
}

func number(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, fmt.Errorf("%q does not start with %c", line, kind)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

const ok = "+OK\r\n"
