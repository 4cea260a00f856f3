// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Results are all figures of a run.
type Results struct {
	Machine  Machine    `json:"machine"`
	Began    time.Time  `json:"began"`
	Rounds   int        `json:"rounds"`
	Seconds  float64    `json:"seconds"`
	Outcomes []*Outcome `json:"outcomes"`
}

// Machine is what the figures were measured on and with.
type Machine struct {
	CPU      string            `json:"cpu"`
	CPUs     int               `json:"cpus"`
	Kernel   string            `json:"kernel"`
	Go       string            `json:"go"`
	Versions map[string]string `json:"versions"`
}

func machine(ctx context.Context) Machine {
	m := Machine{CPU: "unknown", CPUs: runtime.NumCPU(), Go: runtime.Version(), Versions: map[string]string{}}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	for _, t := range targets {
		out, err := exec.CommandContext(ctx, t.Version[0], t.Version[1:]...).CombinedOutput()
		if err != nil {
			out = []byte("not there: " + err.Error())
		}
		first, _, _ := strings.Cut(string(out), "\n")
		m.Versions[t.Name] = strings.TrimSpace(first)
	}
	return m
}

func (m Machine) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d CPUs of %s, Linux %s, %s.\n\n", m.CPUs, m.CPU, m.Kernel, m.Go)
	for _, name := range inOrder(m.Versions) {
		fmt.Fprintf(&b, "- %s: %s\n", name, m.Versions[name])
	}
	return b.String()
}

// save writes what there is so far, so that a run that is broken off is not lost.
func (r *Results) save(jsonFile, docs string) error {
	if jsonFile != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(jsonFile, append(text, '\n'), 0o644); err != nil {
			return fmt.Errorf("writing the samples: %w", err)
		}
	}
	if docs == "" {
		return nil
	}
	return r.document(docs)
}

// The markers of the documentation between which this program writes.
const (
	beginMark = "<!-- figures: written by make bench -->"
	endMark   = "<!-- end of figures -->"
)

// document puts the tables into a Markdown file.
func (r *Results) document(file string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the documentation: %w", err)
	}
	before, rest, ok := strings.Cut(string(old), beginMark)
	_, after, closed := strings.Cut(rest, endMark)
	if !ok || !closed {
		return fmt.Errorf("%s lacks the lines %q and %q", file, beginMark, endMark)
	}
	text := before + beginMark + "\n\n" + r.markdown() + "\n" + endMark + after
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the documentation: %w", err)
	}
	return nil
}

func (r *Results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s: median of %d rounds of %.0f s.\n%s\n", r.Began.Format("2 January 2006"), r.Rounds, r.Seconds, r.Machine.markdown())
	b.WriteString(r.summary())
	for _, o := range r.Outcomes {
		b.WriteString(o.markdown())
	}
	return b.String()
}

// summary has one line for each scenario with a ratio.
func (r *Results) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| load | figure | %s | HAProxy | Caddy | Goma | Goma, spread | to reach |\n|---|---|---|---|---|---|---|---|\n", baseline)
	for _, o := range r.Outcomes {
		if len(o.Samples) == 0 {
			continue
		}
		unit, of := o.Scenario.figure()
		_, low, high := o.ratio("goma")
		limit := "–"
		if o.Scenario.Limit > 0 {
			limit = fmt.Sprintf("≤ %.2f", o.Scenario.Limit)
		}
		fmt.Fprintf(&b, "| %s (`%s`) | %s | %s | %s | %s | **%s** | %s–%s | %s |\n", o.Scenario.About, o.Scenario.Name, unit,
			number(median(o.Samples[baseline], of)), o.times("haproxy"), o.times("caddy"), o.times("goma"), factor(low), factor(high), limit)
	}
	return b.String()
}

// times is the ratio of a target, for a table.
func (o *Outcome) times(name string) string {
	mid, _, _ := o.ratio(name)
	return factor(mid)
}

func factor(f float64) string {
	if math.IsNaN(f) {
		return "–"
	}
	return fmt.Sprintf("%.2f×", f)
}
