// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// share is how much of the saturation the paced load takes.
const share = 0.7

// latency measures what clients wait for when the proxy is busy and not full. It
// looks for the saturation first, then sends requests at a fixed rate.
func (b *bench) latency(ctx context.Context, s *Scenario, live []*instance, o *Outcome) error {
	full := newOutcome(s)
	if err := b.saturate(ctx, s, live, full); err != nil {
		return err
	}
	rates := map[string]float64{}
	for _, t := range live {
		from := t.Name
		if s.Name == "p99-same" {
			from = baseline
		}
		if why := full.Failures[t.Name]; why != "" {
			o.Failures[t.Name] = why
			continue
		}
		rates[t.Name] = share * median(full.Samples[from], func(s Sample) float64 { return s.RPS })
		o.Remarks[t.Name] = fmt.Sprintf("%.0f req/s", rates[t.Name])
	}
	return b.interleave(ctx, live, o, func(t *instance, d time.Duration) (Sample, error) {
		return b.paced(ctx, t, s, rates[t.Name], d)
	})
}

// saturate takes three rounds of full load.
func (b *bench) saturate(ctx context.Context, s *Scenario, live []*instance, full *Outcome) error {
	few := *b
	few.rounds = min(3, b.rounds)
	return few.load(ctx, s, live, full)
}

// paced sends a fixed number of requests per second. Each connection has its own
// timer, so that a slow answer does not hold back the requests of the others.
func (b *bench) paced(ctx context.Context, t *instance, s *Scenario, rate float64, d time.Duration) (Sample, error) {
	if err := b.clearRequestLog(); err != nil {
		return Sample{}, err
	}
	each := max(1, int(rate/float64(s.Conns)))
	before, began := cpu(tree(t.process.pid())), time.Now()
	out, err := b.generate(ctx, []string{"h2load", "--h1", "-t", "1", "-c", strconv.Itoa(s.Conns), "--rps", strconv.Itoa(each),
		"-D", strconv.Itoa(max(1, int(d.Seconds()))), "--log-file", b.requestLog(),
		fmt.Sprintf("http://127.0.0.1:%d%s", t.settings.Port, s.Path)})
	if err != nil {
		return Sample{}, err
	}
	pids := tree(t.process.pid())
	used := cpu(pids).minus(before)
	client := *s
	client.Client = "h2load"
	sample, err := b.parse(&client, out)
	if err != nil {
		return Sample{}, err
	}
	sample.CPU, sample.System = used.total()/sample.Requests*1e6, used.system/sample.Requests*1e6
	sample.Busy, sample.Resident = used.total()/time.Since(began).Seconds(), resident(pids)
	return sample, nil
}
