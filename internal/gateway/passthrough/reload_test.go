// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// echoTCP answers with what it gets, until the test ends.
func echoTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); conns.Wait() })
	return l.Addr().String()
}

// D1: rules change again and again while clients talk, and nobody notices.
func TestChangesOfRulesCostNobodyAByte(t *testing.T) {
	t.Parallel()
	targets := []string{echoTCP(t), echoTCP(t)}
	s := serving(t, Options{}, Rule{Port: anyTCP, Target: targets[0]})
	at := s.Addr(anyTCP)
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				if err := talk(at, n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 300 {
		rules := []Rule{{Port: anyTCP, Target: targets[i%2], Idle: time.Hour}}
		if i%3 == 0 { // another port comes and goes
			rules = append(rules, Rule{Port: anyUDP, Target: targets[0], Idle: time.Hour})
		}
		s.Set(rules)
		if p := s.Problems(); len(p) > 0 {
			t.Errorf("problems %v", p)
		}
	}
	close(done)
	clients.Wait()
	eventually(t, "nothing is open", func() bool { return active(t, s) == 0 })
}

// talk connects and has everything back that it sends.
func talk(at string, n int) error {
	c, err := net.Dial("tcp", at)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	text := fmt.Sprint("message ", n)
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if back, err := io.ReadAll(c); err != nil || string(back) != text {
		return fmt.Errorf("%q instead of %q: %w", back, text, err)
	}
	return nil
}
