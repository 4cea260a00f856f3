// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// secretFiles keeps Secrets as files for the gateway, which knows certificates
// and keys by their paths. The directory is for the owner only, and is new for
// each process.
//
// The name of a Secret is a link to a folder with its present version, so that a
// certificate and its key change together.
type secretFiles struct {
	dir     string
	current map[string]string
}

func newSecretFiles(dir string) (*secretFiles, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for Secrets: %w", err)
	}
	return &secretFiles{dir: dir, current: map[string]string{}}, nil
}

// set makes the files those of the uses, from the Secrets of the manifests. Of a
// certificate that has become unusable the last good version stays; of a value that
// is gone nothing does.
func (s *secretFiles) set(o *Objects, uses []resolve.SecretUse) error {
	wanted := map[string]bool{}
	for _, use := range uses {
		name := use.Secret.Name
		files := usable(o.secretData(use.Secret), use)
		if len(files) == 0 && o.secretData(use.Secret) != nil && s.current[name] != "" && !onlyValues(use) {
			wanted[name] = true
			continue
		}
		if len(files) == 0 {
			continue
		}
		wanted[name] = true
		if err := s.write(name, files); err != nil {
			return fmt.Errorf("writing the files of Secret %s: %w", use.Secret, err)
		}
	}
	for _, name := range slices.Collect(maps.Keys(s.current)) {
		if !wanted[name] {
			if err := s.remove(name); err != nil {
				return fmt.Errorf("removing the files of Secret %s: %w", name, err)
			}
		}
	}
	return nil
}

// onlyValues tells that nobody needs a certificate of the Secret.
func onlyValues(use resolve.SecretUse) bool {
	return !slices.ContainsFunc(use.UsedBy, func(r resolve.SecretRef) bool { return !r.Value })
}

// usable gives the keys of those references that the content satisfies.
func usable(data map[string][]byte, use resolve.SecretUse) map[string][]byte {
	files := map[string][]byte{}
	for _, ref := range use.UsedBy {
		if data == nil || ref.Check(data) != nil {
			continue
		}
		for _, key := range ref.Keys {
			files[key] = data[key]
		}
	}
	return files
}

func (s *secretFiles) write(name string, files map[string][]byte) error {
	version := versionOf(name, files)
	old := s.current[name]
	if old == version {
		return nil
	}
	folder := filepath.Join(s.dir, version)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	for key, data := range files {
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(key)), data, 0o600); err != nil {
			return err
		}
	}
	next := filepath.Join(s.dir, "..next")
	if err := os.Symlink(version, next); err != nil {
		return err
	}
	if err := os.Rename(next, filepath.Join(s.dir, name)); err != nil {
		return err
	}
	s.current[name] = version
	return s.discard(old)
}

func (s *secretFiles) remove(name string) error {
	err := os.Remove(filepath.Join(s.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old := s.current[name]
	delete(s.current, name)
	return s.discard(old)
}

func (s *secretFiles) discard(version string) error {
	if version == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(s.dir, version))
}

// versionOf names the folder of a version. No Secret has a name with two dots in
// front.
func versionOf(name string, files map[string][]byte) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q", name)
	for _, key := range slices.Sorted(maps.Keys(files)) {
		_, _ = fmt.Fprintf(h, "%q%q", key, files[key])
	}
	return ".." + hex.EncodeToString(h.Sum(nil))
}
