// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Rotation bounds the files of a log. A zero field is its default.
type Rotation struct {
	// MaxSizeMB is the size at which a file is put aside; 100 by default.
	MaxSizeMB int
	// MaxBackups is how many files put aside are kept; 3 by default.
	MaxBackups int
	// MaxAgeDays is how long they are kept; 7 by default.
	MaxAgeDays int
}

func (r Rotation) withDefaults() Rotation {
	if r.MaxSizeMB <= 0 {
		r.MaxSizeMB = 100
	}
	if r.MaxBackups <= 0 {
		r.MaxBackups = 3
	}
	if r.MaxAgeDays <= 0 {
		r.MaxAgeDays = 7
	}
	return r
}

// File is a log file that is put aside under a name with the time when it has
// grown. It is for one writer, such as a Sink.
type File struct {
	path     string
	rotation Rotation
	now      func() time.Time

	file *os.File
	size int64
}

// OpenFile appends to the file at path, making it and its directory.
func OpenFile(path string, r Rotation) (*File, error) {
	f := &File{path: path, rotation: r.withDefaults(), now: time.Now}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return f, nil
}

func (f *File) open() error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return err
	}
	f.file, f.size = file, info.Size()
	return nil
}

// Write appends data, which is whole lines.
func (f *File) Write(data []byte) (int, error) {
	if f.size > 0 && f.size+int64(len(data)) > int64(f.rotation.MaxSizeMB)<<20 {
		f.rotate()
	}
	if f.file == nil {
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	n, err := f.file.Write(data)
	f.size += int64(n)
	return n, err
}

// Close closes the file.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// rotate puts the file aside. If that cannot be done the file goes on growing,
// which is better than losing lines.
func (f *File) rotate() {
	_ = f.file.Close()
	f.file = nil
	base, ext := f.nameParts()
	aside := fmt.Sprintf("%s-%s%s", base, f.now().UTC().Format("2006-01-02T15-04-05.000"), ext)
	if os.Rename(f.path, aside) == nil {
		f.size = 0
	}
	f.prune()
}

func (f *File) nameParts() (base, ext string) {
	ext = filepath.Ext(f.path)
	return strings.TrimSuffix(f.path, ext), ext
}

// prune removes files put aside that are too old or too many.
func (f *File) prune() {
	base, ext := f.nameParts()
	list, err := filepath.Glob(globQuote(base) + "-[0-9][0-9][0-9][0-9]-*" + globQuote(ext))
	if err != nil {
		return
	}
	slices.Sort(list) // by time, the oldest first
	oldest := f.now().AddDate(0, 0, -f.rotation.MaxAgeDays)
	for i, path := range list {
		info, err := os.Stat(path)
		if len(list)-i > f.rotation.MaxBackups || err == nil && info.ModTime().Before(oldest) {
			_ = os.Remove(path)
		}
	}
}

func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}
