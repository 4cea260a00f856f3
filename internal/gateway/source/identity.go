// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"os"
	"syscall"
	"time"
)

// Identity tells versions of a file apart without reading it. Equal identities
// of one path mean equal content, unless the file was young when it was looked at:
// see Settled. The zero value is that of a missing file.
type Identity struct {
	device, inode uint64
	size          int64
	modified      time.Time
}

// Identify gives the identity of what the path leads to.
func Identify(path string) Identity {
	info, err := os.Stat(path)
	if err != nil {
		return Identity{}
	}
	return identify(info)
}

func identify(info os.FileInfo) Identity {
	id := Identity{size: info.Size(), modified: info.ModTime()}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		id.device, id.inode = uint64(s.Dev), s.Ino //nolint:unconvert // the width differs between systems
	}
	return id
}

// granularity is more than the coarsest clock of a file system in use.
const granularity = 2 * time.Second

// Settled tells whether a file that had the identity at the given time must get
// another one with its next change. A file that is written twice within one tick
// of its file system's clock keeps its identity.
func (id Identity) Settled(seen time.Time) bool {
	return seen.Sub(id.modified) > granularity
}
