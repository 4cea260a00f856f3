// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestTheTargetLeavesRoom(t *testing.T) { // E5
	t.Parallel()
	for text, want := range map[string]int64{"1000000000\n": 900000000, "max": 0, "9223372036854771712": 0, "-1": 0, "": 0} {
		if got, ok := target(text); got != want || ok != (want > 0) {
			t.Errorf("%q is %d, %v", text, got, ok)
		}
	}
}

func TestTheLimitIsThatOfTheContainerUnlessItIsSaid(t *testing.T) { // E5
	before := debug.SetMemoryLimit(-1)
	files := cgroupFiles
	t.Cleanup(func() {
		debug.SetMemoryLimit(before)
		cgroupFiles = files
	})
	file := filepath.Join(t.TempDir(), "memory.max")
	if err := os.WriteFile(file, []byte("8589934590\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cgroupFiles = []string{filepath.Join(t.TempDir(), "absent"), file}
	debug.SetMemoryLimit(math.MaxInt64)
	t.Setenv("GOMEMLIMIT", "1GiB")
	Limit()
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("the limit is %d although GOMEMLIMIT says another", got)
	}
	t.Setenv("GOMEMLIMIT", "")
	Limit()
	if got := debug.SetMemoryLimit(-1); got != 8589934590/10*9 {
		t.Errorf("the limit is %d", got)
	}
}
