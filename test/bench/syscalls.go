// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// syscalls counts the system calls of each target with perf, which costs little,
// or with strace where perf cannot. They are counted from before the load to
// after it, so those of connecting and closing are among them.
func (b *bench) syscalls(ctx context.Context, s *Scenario, live []*instance, o *Outcome) error {
	tracer := &tracers[0]
	if !tracer.works(ctx, live) {
		tracer = &tracers[1]
	}
	return b.interleave(ctx, live, o, func(t *instance, d time.Duration) (Sample, error) {
		watch, err := tracer.watch(ctx, t.process.pid())
		if err != nil {
			return Sample{}, err
		}
		sample, err := b.measure(ctx, t, s, d)
		calls, countErr := watch.count()
		if err = errors.Join(err, countErr); err != nil {
			return sample, err
		}
		sample.Syscalls = calls / sample.Requests
		o.Remarks[t.Name] = tracer.name
		return sample, nil
	})
}

// tracer counts the system calls of a process and its children.
type tracer struct {
	name    string
	command func(pids string) []string
	parse   func(string) (float64, error)
}

var tracers = []tracer{
	{"perf", func(pids string) []string {
		return []string{"perf", "stat", "-x", ";", "-e", "raw_syscalls:sys_enter", "-p", pids}
	}, parsePerf},
	{"strace, which slows down what it watches", func(pids string) []string {
		return []string{"strace", "-f", "-q", "-c", "-U", "calls,name", "-p", pids}
	}, parseStrace},
}

// works tries the tracer on a target that serves one request.
func (t *tracer) works(ctx context.Context, live []*instance) bool {
	if len(live) == 0 {
		return false
	}
	w, err := t.watch(ctx, live[0].process.pid())
	if err != nil {
		return false
	}
	live[0].probe(live[0].settings.Routes[0])
	calls, err := w.count()
	return err == nil && calls > 0
}

// watch is a tracer that runs.
type watch struct {
	tracer *tracer
	cmd    *exec.Cmd
	out    bytes.Buffer
}

// watch starts the tracer and waits until it has taken hold of all threads.
func (t *tracer) watch(ctx context.Context, root int) (*watch, error) {
	var pids []string
	for _, pid := range tree(root) {
		pids = append(pids, strconv.Itoa(pid))
	}
	command := t.command(strings.Join(pids, ","))
	w := &watch{tracer: t, cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.out
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("counting system calls: %w", err)
	}
	time.Sleep(500 * time.Millisecond) // neither says when it has begun
	return w, nil
}

// count ends the tracer and gives what it has counted.
func (w *watch) count() (float64, error) {
	_ = w.cmd.Process.Signal(os.Interrupt) // what it had to say is in the output
	err := w.cmd.Wait()
	calls, parseErr := w.tracer.parse(w.out.String())
	if parseErr != nil {
		return 0, fmt.Errorf("%s: %w: %s", w.cmd.Path, errors.Join(err, parseErr), w.out.String())
	}
	return calls, nil
}

var errNoCount = errors.New("the number of system calls is not in the output")

// parsePerf reads 123;;raw_syscalls:sys_enter;…
func parsePerf(out string) (float64, error) {
	for line := range strings.Lines(out) {
		if fields := strings.Split(line, ";"); len(fields) > 2 && fields[2] == "raw_syscalls:sys_enter" {
			return strconv.ParseFloat(fields[0], 64)
		}
	}
	return 0, errNoCount
}

// parseStrace reads the line of the total.
func parseStrace(out string) (float64, error) {
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[1] == "total" {
			return strconv.ParseFloat(fields[0], 64)
		}
	}
	return 0, errNoCount
}
