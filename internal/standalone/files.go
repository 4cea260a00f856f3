// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Stdin as a path is the standard input.
const Stdin = "-"

// errNoPaths is a mistake of the caller.
var errNoPaths = errors.New("no file or directory was named")

// extensions are those of the files that are read in a directory. A file that is
// named may have any.
var extensions = []string{".yaml", ".yml", ".json"}

// manifestFiles gives the files that the paths stand for: of a directory those
// below it, sorted, without hidden ones. A file that is named twice is read once.
// The error is for a path that is not there.
func manifestFiles(paths []string) ([]string, error) {
	var files []string
	seen := map[string]bool{}
	for _, path := range paths {
		found, err := filesOf(path)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if id := identity(f); !seen[id] {
				seen[id] = true
				files = append(files, f)
			}
		}
	}
	return files, nil
}

func filesOf(path string) ([]string, error) {
	if path == Stdin {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file or directory %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading manifests: %w", err)
	}
	if !info.IsDir() {
		return []string{filepath.Clean(path)}, nil
	}
	return filesBelow(path)
}

// filesBelow walks a directory, which may be a link to one. What vanishes on the
// way is not there.
func filesBelow(dir string) ([]string, error) {
	var files []string
	root := filepath.Clean(dir) + string(filepath.Separator)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case path == root:
			return nil
		case strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case entry.IsDir() || !slices.Contains(extensions, strings.ToLower(filepath.Ext(path))):
			return nil
		}
		// A link counts if it leads to a file.
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			files = append(files, filepath.Clean(path))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading manifests below %s: %w", dir, err)
	}
	return files, nil
}

// directoriesOf gives what to watch for new files: the paths, and every folder
// below those that are directories.
func directoriesOf(paths []string) []string {
	var out []string
	for _, path := range paths {
		if path == Stdin {
			continue
		}
		out = append(out, path)
		_ = filepath.WalkDir(filepath.Clean(path)+string(filepath.Separator), func(at string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return nil //nolint:nilerr // what cannot be read is reported when it is read
			}
			if strings.HasPrefix(entry.Name(), ".") && filepath.Clean(at) != filepath.Clean(path) {
				return filepath.SkipDir
			}
			out = append(out, filepath.Clean(at))
			return nil
		})
	}
	return out
}

// identity is equal for two spellings of one file.
func identity(path string) string {
	if abs, err := filepath.Abs(path); err == nil && path != Stdin {
		return abs
	}
	return path
}
