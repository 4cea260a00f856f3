// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
)

// The bounds on what clients can make us hold, for each port.
const (
	defaultMaxConns    = 8192
	defaultMaxSessions = 4096
)

// Options are those of a Server; the zero value works.
type Options struct {
	// Host is the address to listen on; empty is all, of both families.
	Host string
	// Resolve sends connections elsewhere: host:port to host:port.
	Resolve map[string]string
	// MaxConns and MaxSessions bound the TCP connections and the UDP sessions of a
	// port; 0 is 8192 and 4096.
	MaxConns, MaxSessions int
	// Changed is told when Problems has another answer. It must not block.
	Changed func()
	// Counters takes the metrics; nil counts where nobody looks.
	Counters *counter.Set
	// Logger is for what goes wrong with single connections; nil discards it.
	Logger *slog.Logger
}

// Server has the ports. Its methods are safe for concurrent use.
type Server struct {
	o   Options
	log *slog.Logger

	// ctx ends with Close, and with it everything that runs.
	ctx   context.Context
	stop  context.CancelFunc
	parts sync.WaitGroup

	mu sync.Mutex

	ports map[Port]*port
	// former are ports that are not named any more, while something runs on them.
	former   map[*port]struct{}
	draining bool
}

// NewServer starts nothing; Set does.
func NewServer(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	o.MaxConns = cmp.Or(o.MaxConns, defaultMaxConns)
	o.MaxSessions = cmp.Or(o.MaxSessions, defaultMaxSessions)
	s := &Server{o: o, log: o.Logger, ports: map[Port]*port{}, former: map[*port]struct{}{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Set makes these the rules. When it returns, each new port has been taken or is
// in Problems, and ports that are not named are free.
func (s *Server) Set(rules []Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining || s.ctx.Err() != nil {
		return
	}
	named := map[Port]bool{}
	for _, r := range rules {
		named[r.Port] = true
	}
	for key, p := range s.ports {
		if !named[key] {
			delete(s.ports, key)
			s.former[p] = struct{}{}
			p.remove()
		}
	}
	for i := range rules {
		if p, ok := s.ports[rules[i].Port]; ok {
			p.set(&rules[i])
			continue
		}
		s.ports[rules[i].Port] = s.open(&rules[i])
	}
}

// Problems tells of the ports that cannot be taken, in the order of their fields.
func (s *Server) Problems() (list []config.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.ports {
		if text := p.complaint(); text != "" {
			list = append(list, problem(config.ReasonInvalid, p.rule.Load().Field+".port", text))
		}
	}
	slices.SortFunc(list, func(a, b config.Problem) int { return cmp.Compare(a.Field, b.Field) })
	return list
}

// Addr is where a port listens; empty while it does not.
func (s *Server) Addr(key Port) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.ports[key]; ok {
		return p.address()
	}
	return ""
}

// Drain takes nothing new, and waits until all connections have ended and UDP
// sessions are quiet, or the context has. What runs is not cut; Close does that.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	for key, p := range s.ports {
		delete(s.ports, key)
		s.former[p] = struct{}{}
		p.drain()
	}
	list := make([]*port, 0, len(s.former))
	for p := range s.former {
		list = append(list, p)
	}
	s.mu.Unlock()
	for _, p := range list {
		select {
		case <-p.ended:
		case <-ctx.Done():
			return errors.New("connections that are passed through had not ended")
		}
	}
	return nil
}

// Close ends everything at once and waits for it.
func (s *Server) Close() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.parts.Wait()
}

// forget is told when nothing runs any more on a former port.
func (s *Server) forget(p *port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.former, p)
}
