// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/passthrough"
)

// forwardHost is the address that forwards listen on: all there are, except in
// tests.
var forwardHost string

// newForwards makes what forwards TCP and UDP. It listens on nothing before it has
// rules, and tells the loop when a port is taken that could not be before.
func (g *gateway) newForwards() *passthrough.Server {
	return passthrough.NewServer(passthrough.Options{
		Host: forwardHost, Resolve: g.o.Resolve, Changed: func() { g.mailbox.put(func(*batch) {}) },
		Counters: g.metrics.Counters, Logger: g.log.Logger,
	})
}

// setForwards puts the rules of the main file into effect. They have
// been checked with it.
func (l *listeners) setForwards(s *config.Gateway) {
	if l.forwards == nil {
		return
	}
	l.forwards.Set(passthrough.Rules(s))
}

// problems are those of ports that cannot be listened on.
func (l *listeners) problems() []config.Problem {
	if l.forwards == nil {
		return nil
	}
	return l.forwards.Problems()
}
