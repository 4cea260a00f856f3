// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that this one started, with all its descendants.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	log   string
}

// start runs a program on the CPUs of a list, or on all. Its output goes to a
// file, which the access log of HAProxy is part of.
func start(log, cpus string, env []string, command ...string) (*process, error) {
	if cpus != "" {
		command = append([]string{"taskset", "-c", cpus}, command...)
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	complaints, err := os.OpenFile(log+".err", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer complaints.Close()
	c := exec.Command(command[0], command[1:]...) //nolint:noctx // it is ended by its number, with its children
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr = out, complaints
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // it never outlives this program
	if err := c.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: c, ended: make(chan struct{}), log: log}
	go func() {
		_ = c.Wait() // how it ended is of no interest, its complaint is
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// complaint is the end of what the program wrote to its standard error.
func (p *process) complaint() string {
	text, _ := os.ReadFile(p.log + ".err")
	return strings.TrimSpace(string(text[max(0, len(text)-800):]))
}

// forget empties the access log.
func (p *process) forget() { _ = os.Truncate(p.log, 0) }

// stop ends the process and what it started, gently first.
func (p *process) stop() {
	pids := tree(p.pid())
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for _, pid := range pids {
			_ = syscall.Kill(pid, signal)
		}
		for range 100 {
			if !slices.ContainsFunc(pids, alive) {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func alive(pid int) bool {
	fields := stat(pid)
	return fields != nil && fields[0] != "Z"
}

// tree lists a process and all its descendants.
func tree(root int) []int {
	parent := map[int]int{}
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, e := range entries {
		pid, _ := strconv.Atoi(filepath.Base(e))
		if fields := stat(pid); fields != nil {
			parent[pid], _ = strconv.Atoi(fields[1])
		}
	}
	pids := []int{root}
	for i := 0; i < len(pids); i++ {
		for pid, above := range parent {
			if above == pids[i] {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// stat gives the fields of /proc/PID/stat behind the name: field 3 is the first.
func stat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return statFields(string(text))
}

// statFields cuts at the last bracket, since a name may hold anything.
func statFields(text string) []string {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 22 {
		return nil
	}
	return fields
}

// usage is CPU time in seconds.
type usage struct{ user, system float64 }

func (u usage) total() float64 { return u.user + u.system }

func (u usage) minus(v usage) usage { return usage{u.user - v.user, u.system - v.system} }

// cpu adds up the time of processes, with threads that ended and children that
// ended and were waited for.
func cpu(pids []int) (u usage) {
	for _, pid := range pids {
		fields := stat(pid)
		if fields == nil {
			continue
		}
		ticks := func(i int) float64 { // of 10 ms; i is as in proc(5)
			n, _ := strconv.ParseFloat(fields[i-3], 64)
			return n / 100
		}
		u.user += ticks(14) + ticks(16)
		u.system += ticks(15) + ticks(17)
	}
	return u
}

// resident adds up the resident memory of processes, in MiB. Pages that they
// share count for each.
func resident(pids []int) (mib float64) {
	for _, pid := range pids {
		if fields := stat(pid); fields != nil {
			pages, _ := strconv.ParseFloat(fields[24-3], 64)
			mib += pages * float64(os.Getpagesize()) / (1 << 20)
		}
	}
	return mib
}
