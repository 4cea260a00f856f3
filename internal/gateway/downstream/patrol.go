// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package downstream

import (
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// patrolInterval is how often connections are looked at whose request takes long.
const patrolInterval = 500 * time.Millisecond

// patrol finds clients that have gone while their request is being served. Nobody
// reads from their connections then, so they are asked; only those whose request
// has lasted from one round to the next, which in a healthy gateway are few. H11
type patrol struct{ stop chan struct{} }

func startPatrol(s *Server) *patrol {
	p := &patrol{make(chan struct{})}
	go p.run(s)
	return p
}

func (p *patrol) end() { close(p.stop) }

func (p *patrol) run(s *Server) {
	ticker := time.NewTicker(patrolInterval)
	defer ticker.Stop()
	var slow []*Conn
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
		}
		slow = s.slow(slow[:0])
		for _, c := range slow {
			if c.left() {
				c.lose(exchange.ErrClientGone)
			}
		}
		clear(slow)
	}
}

// slow gives the connections that serve the same request as in the last round.
func (s *Server) slow(list []*Conn) []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		number := c.number.Load()
		if c.serving.Load() && number == c.seen && !c.lost.Load() {
			list = append(list, c)
		}
		c.seen = number
	}
	return list
}
