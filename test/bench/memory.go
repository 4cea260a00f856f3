// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"time"
)

// Memory is the resident memory of a target's processes, in MiB.
type Memory struct {
	// Idle is with one route and before the first load, Loaded the peak under it.
	Idle   float64 `json:"idle"`
	Loaded float64 `json:"loaded"`
	// Many is with many hosts, each of which has been asked for.
	Many float64 `json:"many"`
}

// memoryLimit is what the project wants to stay below.
var memoryLimit = Memory{Idle: 15, Loaded: 60, Many: 46}

// manyRoutes is how many Memory.Many has.
const manyRoutes = 5000

// memory measures the targets as they are started, under load, and with many
// routes.
func (b *bench) memory(ctx context.Context, s *Scenario, live []*instance, o *Outcome) error {
	for _, t := range live {
		m := Memory{Idle: resident(tree(t.process.pid()))}
		var err error
		if m.Loaded, err = b.peak(ctx, t, s); err == nil {
			m.Many, err = b.withManyRoutes(ctx, t)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			o.fail(t.Name, err)
			continue
		}
		o.Memory[t.Name] = m
	}
	return nil
}

// peak looks at the memory ten times a second while the target is under load.
func (b *bench) peak(ctx context.Context, t *instance, s *Scenario) (mib float64, err error) {
	result := make(chan error, 1)
	go func() {
		_, err := b.measure(ctx, t, s, b.duration)
		result <- err
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-result:
			return mib, err
		case <-tick.C:
			mib = max(mib, resident(tree(t.process.pid())))
		}
	}
}

// withManyRoutes starts another instance of the target and asks for each host
// once.
func (b *bench) withManyRoutes(ctx context.Context, t *instance) (float64, error) {
	s := Scenario{Name: "memory-many", Kind: "host", Routes: manyRoutes, Workers: 1}.withDefaults()
	settings, err := b.settings(&s, t.Name, t.settings.Origin)
	if err != nil {
		return 0, err
	}
	many, err := launch(ctx, t.Target, settings, b.proxyCPUs)
	if err != nil {
		return 0, err
	}
	defer many.process.stop()
	p := &paced{target: many}
	for _, r := range settings.Routes {
		p.ask(r)
	}
	if p.conn != nil {
		p.conn.Close()
	}
	return resident(tree(many.process.pid())), nil
}
