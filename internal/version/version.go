// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package version tells which build is running. The values are set by the
// linker; a plain `go build` falls back on what the Go toolchain recorded.
package version

import (
	"fmt"
	"runtime/debug"
)

// Set with -ldflags "-X gateway.jkaninda.dev/goma/internal/version.Version=…".
var (
	// Version is the release, such as v0.1.0, or dev.
	Version = "dev"
	// Commit is the revision that was built, or unknown.
	Commit = setting("vcs.revision", "unknown")
	// BuildTime is RFC 3339, or unknown.
	BuildTime = setting("vcs.time", "unknown")
)

// ConfigVersion is the version of the goma.yml format that this build reads.
const ConfigVersion = "2"

// String gives version, configuration version, build time and commit, one a line.
func String() string {
	return fmt.Sprintf("Version: %s\nConfig version: %s\nBuild time: %s\nCommit: %s",
		Version, ConfigVersion, BuildTime, Commit)
}

func setting(key, otherwise string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return otherwise
	}
	for _, s := range info.Settings {
		if s.Key == key && s.Value != "" {
			return s.Value
		}
	}
	return otherwise
}
