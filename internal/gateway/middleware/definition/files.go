// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package definition

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrUnread is the error of reading a file while a configuration is only checked:
// the file may be where the gateway will run.
var ErrUnread = errors.New("files are not read while a configuration is checked")

var errNoFilesDir = errors.New("this gateway has no directory of files; give the text itself")

// ReadFile reads a file of FilesDir, whatever links there are: the rule may come from
// somebody who has no right to read other files. T8
//
// The name is relative to that directory, or absolute and inside of it. A file of
// more than maxBytes is an error. Where the file changes, the handler is made anew.
func (b Build) ReadFile(name string, maxBytes int64) ([]byte, error) {
	if b.CheckOnly && b.FilesDir == "" {
		return nil, ErrUnread // nobody knows yet where the gateway will run
	}
	below, err := b.inFilesDir(name)
	if err != nil {
		return nil, err
	}
	if b.CheckOnly && !b.FilesHere {
		return nil, ErrUnread
	}
	if b.DependOn != nil {
		b.DependOn(filepath.Join(b.FilesDir, below))
	}
	root, err := os.OpenRoot(b.FilesDir)
	if err != nil {
		return nil, fmt.Errorf("the directory of files, %s, cannot be opened", b.FilesDir)
	}
	defer root.Close() //nolint:errcheck // it was only read
	return readIn(root, below, maxBytes)
}

func (b Build) inFilesDir(name string) (string, error) {
	if b.FilesDir == "" {
		return "", errNoFilesDir
	}
	below := name
	if filepath.IsAbs(name) {
		var err error
		if below, err = filepath.Rel(b.FilesDir, filepath.Clean(name)); err != nil {
			return "", outside(b.FilesDir)
		}
	}
	if !filepath.IsLocal(below) {
		return "", outside(b.FilesDir)
	}
	return below, nil
}

func readIn(root *os.Root, name string, maxBytes int64) ([]byte, error) {
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no %s in %s", name, root.Name())
	case err != nil:
		return nil, outside(root.Name())
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read", name)
	}
	defer f.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read", name)
	case int64(len(data)) > maxBytes:
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxBytes)
	}
	return data, nil
}

func outside(dir string) error { return fmt.Errorf("must be a file in %s", dir) }
