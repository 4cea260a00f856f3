// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"io"
	"log/slog"
	"os"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Log is the log of the process. Its level can change at any time.
type Log struct {
	*slog.Logger

	level *slog.LevelVar
	// json is the format of the lines.
	json bool
	sink *Sink
	file io.Closer
}

// NewLog opens the log that the settings describe. Where they name no file, lines
// go to out; nil is the standard output. An unknown level is info.
func NewLog(settings config.Log, out io.Writer) (*Log, error) {
	l := &Log{level: new(slog.LevelVar)}
	if out == nil {
		out = os.Stdout
	}
	if settings.FilePath != "" {
		f, err := OpenFile(settings.FilePath, Rotation{
			MaxSizeMB: settings.MaxSizeMB, MaxBackups: settings.MaxBackups, MaxAgeDays: settings.MaxAgeDays,
		})
		if err != nil {
			return nil, err
		}
		out, l.file = f, f
	}
	l.sink = NewSink(out)
	options := &slog.HandlerOptions{Level: l.level, ReplaceAttr: nameTrace}
	if l.json = strings.EqualFold(settings.Format, "json"); l.json {
		l.Logger = slog.New(slog.NewJSONHandler(l.sink, options))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(l.sink, options))
	}
	l.SetLevel(settings.Level)
	return l, nil
}

// SetLevel changes the level, and tells whether it is another one now.
func (l *Log) SetLevel(text string) bool {
	level, err := ParseLevel(text)
	if err != nil || level == l.level.Level() {
		return false
	}
	l.level.Set(level)
	return true
}

// enabled tells whether lines of a level are written.
func (l *Log) enabled(level slog.Level) bool { return level >= l.level.Level() }

// Dropped counts the lines that were lost because nobody took them.
func (l *Log) Dropped() uint64 { return l.sink.Dropped() }

// Close writes what is left.
func (l *Log) Close() {
	l.sink.Close()
	if l.file != nil {
		_ = l.file.Close()
	}
}

func nameTrace(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.LevelKey {
		if level, ok := a.Value.Any().(slog.Level); ok && level == LevelTrace {
			return slog.String(slog.LevelKey, "TRACE")
		}
	}
	return a
}
