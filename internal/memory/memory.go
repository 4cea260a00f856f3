// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package memory tells the Go runtime what memory the container has, so that it
// collects harder instead of being killed. Every program of a pod calls it first.
package memory

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// cgroupFiles hold the memory limit of the container: cgroup version 2, then 1.
var cgroupFiles = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// Limit sets the limit of the runtime by that of the container. GOMEMLIMIT, if set, wins. The number of
// CPUs the runtime finds out by itself. E5
func Limit() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	for _, path := range cgroupFiles {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if limit, ok := target(string(data)); ok {
			debug.SetMemoryLimit(limit)
		}
		return
	}
}

// target leaves a tenth of the limit to what the runtime does not count.
func target(text string) (bytes int64, ok bool) {
	const unlimited = 1 << 50
	limit, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || limit <= 0 || limit >= unlimited {
		return 0, false
	}
	return limit / 10 * 9, true
}
