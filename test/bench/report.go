// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// median gives the middle of what f finds in samples; that of none is 0.
func median(samples []Sample, f func(Sample) float64) float64 {
	list := make([]float64, len(samples))
	for i, s := range samples {
		list[i] = f(s)
	}
	return middle(list)
}

func middle(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

// number prints a figure with as many digits as mean something.
func number(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	default:
		return fmt.Sprintf("%.2f", f)
	}
}

// figure is what a scenario is about: p99 for latencies, system calls, else CPU.
func (s *Scenario) figure() (unit string, of func(Sample) float64) {
	switch s.Method {
	case methodLatency:
		return "p99 ms", func(s Sample) float64 { return s.P99 }
	case methodSyscalls:
		return "calls/req", func(s Sample) float64 { return s.Syscalls }
	default:
		return "CPU µs/req", func(s Sample) float64 { return s.CPU }
	}
}

// ratio is the median of the rounds' own ratios to the baseline, and the lowest
// and highest of them.
func (o *Outcome) ratio(name string) (mid, low, high float64) {
	_, of := o.Scenario.figure()
	own, base := o.Samples[name], o.Samples[baseline]
	var list []float64
	for i := range min(len(own), len(base)) {
		if b := of(base[i]); b > 0 {
			list = append(list, of(own[i])/b)
		}
	}
	if len(list) == 0 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	return middle(list), slices.Min(list), slices.Max(list)
}

// inOrder gives the targets in their fixed order, so far as they are in m.
func inOrder[V any](m map[string]V) (list []string) {
	for _, t := range targets {
		if _, ok := m[t.Name]; ok {
			list = append(list, t.Name)
		}
	}
	return list
}

// markdown is the whole table of a scenario.
func (o *Outcome) markdown() string {
	var b strings.Builder
	s := &o.Scenario
	fmt.Fprintf(&b, "\n### %s: %s\n\n", s.Name, s.About)
	switch s.Method {
	case methodReload:
		o.reloadTable(&b)
	case methodMemory:
		o.memoryTable(&b)
	default:
		o.sampleTable(&b)
	}
	for _, name := range inOrder(o.Remarks) {
		fmt.Fprintf(&b, "\n%s: %s.\n", name, o.Remarks[name])
	}
	for _, name := range inOrder(o.Failures) {
		fmt.Fprintf(&b, "\n%s is not among the figures: %s\n", name, o.Failures[name])
	}
	return b.String()
}

func (o *Outcome) sampleTable(b *strings.Builder) {
	unit, of := o.Scenario.figure()
	fmt.Fprintf(b, "| target | %s | spread | to %s | spread | system µs | req/s | CPUs used | p50 ms | p99 ms | RSS MiB | errors |\n", unit, baseline)
	fmt.Fprintln(b, "|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, name := range inOrder(o.Samples) {
		list := o.Samples[name]
		var figures []float64
		errors := 0
		for _, s := range list {
			figures = append(figures, of(s))
			errors += s.Errors
		}
		mid, low, high := o.ratio(name)
		at := func(f func(Sample) float64) float64 { return median(list, f) }
		fmt.Fprintf(b, "| %s | %s | %s–%s | %.2f | %.2f–%.2f | %.1f | %.0f | %.2f | %.2f | %.2f | %.0f | %d |\n",
			name, number(middle(figures)), number(slices.Min(figures)), number(slices.Max(figures)), mid, low, high,
			at(func(s Sample) float64 { return s.System }), at(func(s Sample) float64 { return s.RPS }),
			at(func(s Sample) float64 { return s.Busy }), at(func(s Sample) float64 { return s.P50 }),
			at(func(s Sample) float64 { return s.P99 }), at(func(s Sample) float64 { return s.Resident }), errors)
	}
}

func (o *Outcome) reloadTable(b *strings.Builder) {
	fmt.Fprintln(b, "| target | visible after ms | CPU ms | p50 / p99 / max ms before | during | requests | wrong status | kept connections cut | failed | RSS MiB |")
	fmt.Fprintln(b, "|---|---|---|---|---|---|---|---|---|---|")
	line := func(l Latency) string { return fmt.Sprintf("%.1f / %.1f / %.0f", l.P50, l.P99, l.Max) }
	for _, name := range inOrder(o.Reloads) {
		r := o.Reloads[name]
		fmt.Fprintf(b, "| %s | %.0f | %.0f | %s | %s | %d | %d | %d | %d | %.0f |\n", name, middle(r.Visible), middle(r.Cost),
			line(r.Before), line(r.During), r.Requests, r.WrongStatus, r.Cut, r.Failed, r.Resident)
	}
}

func (o *Outcome) memoryTable(b *strings.Builder) {
	fmt.Fprintf(b, "| target | RSS MiB idle | at %d connections | with %d routes |\n|---|---|---|---|\n", o.Scenario.Conns, manyRoutes)
	for _, name := range inOrder(o.Memory) {
		m := o.Memory[name]
		fmt.Fprintf(b, "| %s | %.1f | %.1f | %.1f |\n", name, m.Idle, m.Loaded, m.Many)
	}
	fmt.Fprintf(b, "| to reach | %.0f | %.0f | %.0f |\n", memoryLimit.Idle, memoryLimit.Loaded, memoryLimit.Many)
}
