// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package lastgood keeps the last good content of a remote source on disk, so
// that a gateway can start while its origin is away.
//
// The file is replaced in one step and readable by its owner only. What is read
// back is used only when nobody else could have written it, it is whole, and it
// came from the origin that is configured now.
package lastgood

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Record is what is kept.
type Record struct {
	// Origin is where it came from, without credentials. Content of another origin
	// is not used.
	Origin string `json:"origin"`
	// Confirmed is when the origin last said that this is its newest.
	Confirmed time.Time `json:"confirmed"`
	// Values are what the next request needs, such as an entity tag.
	Values map[string]string `json:"values,omitempty"`
	// Documents are the texts by name.
	Documents map[string][]byte `json:"documents"`
}

// envelope is the content of the file. JSON is YAML too, so the name of the file
// may end in either.
type envelope struct {
	Format   string          `json:"format"`
	Checksum string          `json:"checksum"`
	Record   json.RawMessage `json:"record"`
}

const (
	format   = "goma-last-good/1"
	maxBytes = 256 << 20
)

// Save writes the record, with its directories if they are missing.
func Save(path string, r Record) error {
	inner, err := json.Marshal(r)
	if err != nil {
		return err
	}
	data, err := json.Marshal(envelope{Format: format, Checksum: checksum(inner), Record: inner})
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// CreateTemp makes it 0600, under a name that nobody has.
	f, err := os.CreateTemp(dir, ".goma-*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Load reads the record of an origin; nil when there is none, or none of that
// origin. An error means that there is a file that must not be used.
func Load(path, origin string) (*Record, error) {
	data, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var e envelope
	if json.Unmarshal(data, &e) != nil || e.Format != format {
		return nil, fmt.Errorf("%s was not written by this program, or is cut off", path)
	}
	if checksum(e.Record) != e.Checksum {
		return nil, fmt.Errorf("%s differs from its checksum", path)
	}
	var r Record
	if err := json.Unmarshal(e.Record, &r); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	if r.Origin != origin {
		return nil, nil
	}
	return &r, nil
}

// read opens the file without following a link, and looks at who may have written
// it before it reads.
func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err := private(info); err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(data) > maxBytes {
		err = fmt.Errorf("%s has more than %d MiB", path, maxBytes>>20)
	}
	return data, err
}

// private tells whether only this user could have written the file. The group of
// a volume of Kubernetes, which is that of the process, may be allowed to.
func private(info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	mode := info.Mode().Perm()
	switch {
	case int(stat.Uid) != os.Geteuid():
		return errors.New("belongs to another user")
	case mode&0o002 != 0, mode&0o020 != 0 && !ownGroup(int(stat.Gid)):
		return errors.New("can be written by other users")
	}
	return nil
}

func ownGroup(gid int) bool {
	if gid == os.Getegid() {
		return true
	}
	groups, _ := os.Getgroups()
	for _, g := range groups {
		if g == gid {
			return true
		}
	}
	return false
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
