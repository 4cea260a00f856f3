// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// maxSecretBytes is what a Secret can hold.
const maxSecretBytes = 1 << 20

// secretReader reads values of Secrets for one middleware. They are files of a
// directory that others keep up to date, NAME/KEY, and no other file is read. T8
type secretReader struct {
	// dir is the directory; empty where nobody keeps one.
	dir string
	// trusted says that the middleware may name Secrets at all: it comes from
	// Kubernetes, or from the file in which the operator writes what does.
	trusted bool
	// checking leaves open what is not there.
	checking bool

	// files are those that were looked at, existing or not.
	files []dependency
	// open says that a value is left open.
	open bool
}

func newSecretReader(o *Options, m *config.Middleware) *secretReader {
	r := &secretReader{dir: o.SecretsDir, checking: o.Backends == nil}
	switch m.Meta.Ref.Source {
	case config.SourceKubernetes.String():
		r.trusted = r.dir != "" || r.checking
	case config.SourceFile.String():
		r.trusted = r.dir != ""
	}
	return r
}

// read implements middleware.ReadSecret.
func (r *secretReader) read(s config.SecretKey) ([]byte, *config.Problem) {
	switch {
	case !r.trusted:
		return nil, &config.Problem{
			Reason:  config.ReasonInvalid,
			Message: "names a Secret, which only a Middleware of Kubernetes can; write ${NAME} as the value, and set that variable",
		}
	case !fileName(s.Name) || !fileName(s.Key):
		return nil, &config.Problem{Reason: config.ReasonInvalid, Message: "names no Secret, or no key that one can have"}
	case r.dir == "":
		return nil, r.missing(s)
	}
	path := filepath.Join(r.dir, s.Name, s.Key)
	r.files = append(r.files, dependency{path, source.Identify(path)})
	data, err := readBelow(r.dir, filepath.Join(s.Name, s.Key))
	switch {
	case err == nil:
		return data, nil
	case isMissing(err):
		return nil, r.missing(s)
	}
	return nil, &config.Problem{
		Reason: config.ReasonSecretInvalid, Message: fmt.Sprintf("key %s of Secret %s cannot be read as text of at most 1 MiB", s.Key, s.Name),
	}
}

func (r *secretReader) missing(s config.SecretKey) *config.Problem {
	r.open = r.open || r.checking
	return &config.Problem{
		Reason:  config.ReasonSecretNotFound,
		Message: fmt.Sprintf("there is no key %s of a Secret %s; create it, or name another", s.Key, s.Name),
	}
}

// fileName tells a name from a path.
func fileName(name string) bool {
	return name != "" && !strings.HasPrefix(name, "..") && name != "." && filepath.IsLocal(name) && filepath.Base(name) == name
}

// isMissing tells what is not there, not even in part: the name of a Secret may be a
// link to nothing.
func isMissing(err error) bool { return os.IsNotExist(err) }

// readBelow reads a file of a directory, whatever links are in it.
func readBelow(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // it was only read
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecretBytes {
		return nil, fs.ErrInvalid
	}
	return io.ReadAll(io.LimitReader(f, maxSecretBytes))
}
