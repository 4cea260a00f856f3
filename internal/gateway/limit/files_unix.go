// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package limit

import (
	"math"
	"syscall"
)

// openFiles is how many files the process may have open; 0 when that is not known.
func openFiles() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return int(min(l.Cur, math.MaxInt32)) //nolint:gosec // it fits
}
