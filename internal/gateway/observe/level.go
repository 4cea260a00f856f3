// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
)

// The levels that slog does not name.
const (
	LevelTrace = slog.LevelDebug - 4
	// LevelOff lets nothing through.
	LevelOff = slog.Level(math.MaxInt32)
)

// ParseLevel reads trace, debug, info, warn, error or off, in any case. Empty is info.
func ParseLevel(text string) (slog.Level, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "trace":
		return LevelTrace, nil
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	case "off":
		return LevelOff, nil
	}
	return slog.LevelInfo, fmt.Errorf("%q is no log level; use trace, debug, info, warn, error or off", text)
}
