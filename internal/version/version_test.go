// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package version

import (
	"strings"
	"testing"
)

func TestStringHasOneLineForEachFact(t *testing.T) {
	t.Parallel()
	lines := strings.Split(String(), "\n")
	want := []string{"Version: " + Version, "Config version: 2", "Build time: " + BuildTime, "Commit: " + Commit}
	if strings.Join(lines, "|") != strings.Join(want, "|") {
		t.Fatalf("got %q, want %q", lines, want)
	}
}

func TestAnUnknownSettingFallsBack(t *testing.T) {
	t.Parallel()
	if got := setting("no.such.setting", "unknown"); got != "unknown" {
		t.Fatalf("got %q, want unknown", got)
	}
}
