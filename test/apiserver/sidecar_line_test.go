// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"

	"k8s.io/client-go/rest"
)

// line is a wire to the API server that can be cut and joined.
type line struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
	// refused counts the connections that found the line cut.
	refused int
}

// tried waits until somebody has found the line cut.
func (l *line) tried(s *sidecarScene) {
	s.Helper()
	s.until("somebody tries the line", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.refused < 3 {
			return fmt.Errorf("%d connections", l.refused)
		}
		return nil
	})
}

// newLine gives a line and the configuration to use it.
func (s *sidecarScene) newLine() (*line, *rest.Config) {
	s.Helper()
	target, err := url.Parse(s.cfg.Host)
	if err != nil {
		s.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	l := &line{listener: listener, to: target.Host, conns: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { l.join(conn) })
		}
	})
	s.Cleanup(func() {
		_ = listener.Close()
		l.set(true)
		running.Wait()
	})
	cfg := rest.CopyConfig(s.cfg)
	cfg.Host = "https://" + listener.Addr().String()
	cfg.TLSClientConfig.ServerName = target.Hostname()
	return l, cfg
}

// set cuts the line, with all that is on it, or joins it.
func (l *line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.refused = cut, 0
	if cut {
		for conn := range l.conns {
			_ = conn.Close()
		}
		clear(l.conns)
	}
}

func (l *line) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		l.refused++
		_ = conn.Close()
		return false
	}
	l.conns[conn] = struct{}{}
	return true
}

func (l *line) join(near net.Conn) {
	defer near.Close()
	if !l.keep(near) {
		return
	}
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer far.Close()
	if !l.keep(far) {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-done
}
