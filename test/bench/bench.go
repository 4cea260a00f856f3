// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench is one run of this program.
type bench struct {
	dir, origin, json, docs, only string
	proxyCPUs, pinnedLoad         string
	rounds, conns, routes         int
	duration                      time.Duration
	spin, keep                    bool

	// loadCPUs are those of the scenario that runs.
	loadCPUs string
}

// Outcome is what a scenario showed.
type Outcome struct {
	Scenario Scenario `json:"scenario"`
	// Samples are by target, one for each round.
	Samples map[string][]Sample `json:"samples,omitempty"`
	// Reloads and Memory are for the scenarios that measure them.
	Reloads map[string]Reload `json:"reloads,omitempty"`
	Memory  map[string]Memory `json:"memory,omitempty"`
	// Remarks say what the reader should know of a target, Failures why one is
	// not among the figures.
	Remarks  map[string]string `json:"remarks,omitempty"`
	Failures map[string]string `json:"failures,omitempty"`
}

func newOutcome(s *Scenario) *Outcome {
	return &Outcome{
		Scenario: *s, Samples: map[string][]Sample{}, Reloads: map[string]Reload{}, Memory: map[string]Memory{},
		Remarks: map[string]string{}, Failures: map[string]string{},
	}
}

// run measures one scenario on targets of its own.
func (b *bench) run(ctx context.Context, s *Scenario) (*Outcome, error) {
	outcome := newOutcome(s)
	var proxyCPUs string
	b.loadCPUs = ""
	if s.Workers == 1 {
		proxyCPUs, b.loadCPUs = b.proxyCPUs, b.pinnedLoad
	}
	if b.spin {
		stop, err := b.spinAll(proxyCPUs)
		defer stop()
		if err != nil {
			return nil, err
		}
	}
	origin, behind, err := b.startOrigin(ctx)
	if err != nil {
		return nil, err
	}
	defer behind.stop()
	live := b.launchAll(ctx, s, origin, proxyCPUs, outcome)
	defer func() {
		for _, t := range live {
			t.process.stop()
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return outcome, b.method(s)(ctx, s, live, outcome)
}

type method func(context.Context, *Scenario, []*instance, *Outcome) error

func (b *bench) method(s *Scenario) method {
	switch s.Method {
	case methodLatency:
		return b.latency
	case methodReload:
		return b.reloads
	case methodMemory:
		return b.memory
	case methodSyscalls:
		return b.syscalls
	default:
		return b.load
	}
}

// load measures all targets in turn, round by round. The first round warms up
// and is not counted.
func (b *bench) load(ctx context.Context, s *Scenario, live []*instance, o *Outcome) error {
	return b.interleave(ctx, live, o, func(t *instance, d time.Duration) (Sample, error) {
		return b.measure(ctx, t, s, d)
	})
}

// interleave takes the samples of all rounds. A target that fails is out.
func (b *bench) interleave(ctx context.Context, live []*instance, o *Outcome, take func(*instance, time.Duration) (Sample, error)) error {
	for round := -1; round < b.rounds; round++ {
		d := b.duration
		if round < 0 {
			d = time.Second
		}
		for _, t := range live {
			if o.Failures[t.Name] != "" {
				continue
			}
			sample, err := take(t, d)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				o.fail(t.Name, err)
			case round >= 0:
				o.Samples[t.Name] = append(o.Samples[t.Name], sample)
			}
		}
	}
	return nil
}

func (o *Outcome) fail(name string, err error) {
	log.Printf("%s: %v", name, err)
	o.Failures[name] = err.Error()
}

// launchAll starts the targets; one that does not start is reported.
func (b *bench) launchAll(ctx context.Context, s *Scenario, origin, cpus string, o *Outcome) (live []*instance) {
	for i := range targets {
		t := &targets[i]
		if b.only != "" && t.Name != baseline && !slices.Contains(strings.Split(b.only, ","), t.Name) {
			continue
		}
		settings, err := b.settings(s, t.Name, origin)
		if err != nil {
			o.fail(t.Name, err)
			continue
		}
		began := time.Now()
		running, err := launch(ctx, t, settings, cpus)
		if err != nil {
			o.fail(t.Name, err)
			continue
		}
		if s.Routes > 1 {
			log.Printf("  %s serves %d routes after %v", t.Name, s.Routes, time.Since(began).Round(time.Millisecond))
		}
		if running.remark != "" {
			o.Remarks[t.Name] = running.remark
		}
		live = append(live, running)
	}
	return live
}

// settings are those of a target in a scenario, with a directory that no other
// scenario uses.
func (b *bench) settings(s *Scenario, name, origin string) (Settings, error) {
	ports, err := freePorts(3)
	if err != nil {
		return Settings{}, err
	}
	return Settings{
		Dir: filepath.Join(b.dir, s.Name, name), Port: ports[0], TLSPort: ports[1], AdminPort: ports[2], Origin: origin,
		Cert: filepath.Join(b.dir, "cert.pem"), Key: filepath.Join(b.dir, "key.pem"), CertKey: filepath.Join(b.dir, "both.pem"),
		Workers: s.Workers, Kind: s.Kind, Routes: makeRoutes(s.Kind, s.Routes), Chain: s.Chain, JWTSecret: jwtSecret,
	}, nil
}

// freePorts gives ports of 127.0.0.1 that nobody has at the moment.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // it is closed at once
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:revive // all of them differ because none is closed before
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// startOrigin starts what stands behind the proxies, beside the load.
func (b *bench) startOrigin(ctx context.Context) (address string, p *process, err error) {
	ports, err := freePorts(1)
	if err != nil {
		return "", nil, err
	}
	address = fmt.Sprintf("127.0.0.1:%d", ports[0])
	if p, err = start(filepath.Join(b.dir, "origin.log"), b.loadCPUs, nil, b.origin, "-listen", address); err != nil {
		return "", nil, err
	}
	probe := instance{Target: &Target{}, settings: Settings{Port: ports[0], Routes: makeRoutes("any", 1)}, process: p}
	if err := probe.awaitReady(ctx); err != nil {
		p.stop()
		return "", nil, fmt.Errorf("origin: %w", err)
	}
	return address, p, nil
}

// spinAll runs a loop of idle priority on each CPU that is used, so that none
// halts: waking one costs more on a virtual machine than what is measured.
func (b *bench) spinAll(proxyCPUs string) (stop func(), err error) {
	var loops []*process
	stop = func() {
		for _, p := range loops {
			p.stop()
		}
	}
	for _, cpus := range []string{proxyCPUs, b.loadCPUs} {
		p, err := start(filepath.Join(b.dir, "spin.log"), cpus, nil, "chrt", "--idle", "0", "sh", "-c", "while :; do :; done")
		if err != nil {
			return stop, err
		}
		loops = append(loops, p)
	}
	return stop, nil
}
