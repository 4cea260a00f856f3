// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

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
	"strings"

	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// The modes are for a pod whose containers share a user or a group.
const (
	certDirMode  = 0o750
	certFileMode = 0o640
)

// versionPrefix begins the name of a folder with one version of a Secret. No
// Secret has such a name.
const versionPrefix = ".."

// certStore keeps the files of Secrets below a directory:
//
//	<secret> -> ..<secret>-<hash>     a link to the current version
//	..<secret>-<hash>/tls.crt, …      never changed after it is linked to
//
// So all files of a Secret change at once, and one who has followed the link
// finds a certificate and a key that belong together.
type certStore struct {
	dir string
	// current is where the links point, previous where they pointed before; the
	// latter stay for those who are just reading them.
	current, previous map[string]string
}

// openCertStore continues what is in dir.
func openCertStore(dir string) (*certStore, error) {
	if err := os.MkdirAll(dir, certDirMode); err != nil {
		return nil, fmt.Errorf("making the certificate directory: %w", err)
	}
	s := &certStore{dir: dir, current: map[string]string{}, previous: map[string]string{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate directory: %w", err)
	}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && resolve.ValidName(e.Name()) {
			s.current[e.Name()] = target
		}
	}
	used := slices.Collect(maps.Values(s.current))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), versionPrefix) && !slices.Contains(used, e.Name()) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return nil, fmt.Errorf("removing an old certificate: %w", err)
			}
		}
	}
	return s, nil
}

// names are the Secrets that have files.
func (s *certStore) names() []string { return slices.Sorted(maps.Keys(s.current)) }

// has tells whether all the keys of a Secret are on disk.
func (s *certStore) has(secret string, keys []string) bool {
	if _, ok := s.current[secret]; !ok {
		return false
	}
	for _, key := range keys {
		if info, err := os.Stat(filepath.Join(s.dir, secret, key)); err != nil || info.Size() == 0 {
			return false
		}
	}
	return true
}

// write makes the files of a Secret these. Nothing is touched when they are.
func (s *certStore) write(secret string, files map[string][]byte) (changed bool, err error) {
	if !resolve.ValidName(secret) {
		return false, fmt.Errorf("%q is not the name of a Secret", secret)
	}
	if len(files) == 0 {
		return s.remove(secret)
	}
	version := versionName(secret, files)
	if s.current[secret] == version {
		return false, nil
	}
	if s.previous[secret] != version {
		if err := s.writeVersion(version, files); err != nil {
			return false, fmt.Errorf("writing the files of Secret %s: %w", secret, err)
		}
	}
	if err := s.link(secret, version); err != nil {
		return false, fmt.Errorf("writing the files of Secret %s: %w", secret, err)
	}
	if oldest := s.previous[secret]; oldest != version {
		s.discard(oldest)
	}
	s.previous[secret], s.current[secret] = s.current[secret], version
	return true, nil
}

// remove takes the files of a Secret away.
func (s *certStore) remove(secret string) (changed bool, err error) {
	if _, ok := s.current[secret]; !ok {
		return false, nil
	}
	err = os.Remove(filepath.Join(s.dir, secret))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("removing the files of Secret %s: %w", secret, err)
	}
	s.discard(s.previous[secret])
	s.discard(s.current[secret])
	delete(s.previous, secret)
	delete(s.current, secret)
	return true, nil
}

// discard removes a version that nothing links to. One that cannot be removed is
// found again when the directory is opened the next time.
func (s *certStore) discard(version string) {
	if version != "" {
		_ = os.RemoveAll(filepath.Join(s.dir, version))
	}
}

// versionName is the name of the folder with these files. The hash covers the
// name too, since the name is cut to what a file name may be.
func versionName(secret string, files map[string][]byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q", secret)
	for _, key := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%q %q", key, files[key])
	}
	return versionPrefix + secret[:min(len(secret), 200)] + "-" + hex.EncodeToString(h.Sum(nil))[:32]
}

// writeVersion writes a folder that nothing links to yet.
func (s *certStore) writeVersion(version string, files map[string][]byte) error {
	dir := filepath.Join(s.dir, version)
	// What an earlier process did not finish is not to be trusted.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, certDirMode); err != nil {
		return err
	}
	for key, data := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(key)), data, certFileMode); err != nil {
			return err
		}
	}
	return nil
}

// link points the name of the Secret at a version in one step.
func (s *certStore) link(secret, version string) error {
	next := filepath.Join(s.dir, versionPrefix+"link")
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(version, next); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(s.dir, secret))
}

// read gives the files of a Secret that are on disk, of those keys.
func (s *certStore) read(secret string, keys []string) map[string][]byte {
	files := map[string][]byte{}
	for _, key := range keys {
		if data, err := os.ReadFile(filepath.Join(s.dir, secret, key)); err == nil {
			files[key] = data
		}
	}
	return files
}
