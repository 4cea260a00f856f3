// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// namedFile is a field of a route that may hold the path of a file.
type namedFile struct{ field, value string }

// backendFiles are those for connections to backends.
func backendFiles(r *config.Route) []namedFile {
	if r.Security == nil || r.Security.TLS == nil {
		return nil
	}
	t := r.Security.TLS
	return []namedFile{
		{"security.tls.rootCAs", t.RootCAs}, {"security.tls.clientCert", t.ClientCert}, {"security.tls.clientKey", t.ClientKey.Reveal()},
	}
}

func certificateFiles(field string, c config.Certificate) []namedFile {
	return []namedFile{{field + ".cert", c.Cert}, {field + ".key", c.Key.Reveal()}}
}

// refused is the problem of the first file that a route may not name; nil when
// there is none. Whoever writes the routes of an address, of a repository or of a
// cluster need not be somebody who may read the files of this machine. T8
func (o Options) refused(r *config.Route, files []namedFile) *config.Problem {
	dirs, everywhere := o.directories(r.Meta.Ref.Source)
	if everywhere {
		return nil
	}
	for _, f := range files {
		if f.value == "" || inPlace(f.value) {
			continue
		}
		if err := within(dirs, f.value); err != nil {
			return &config.Problem{Object: RefOf(r), Field: f.field, Reason: config.ReasonSecretInvalid, Message: err.Error()}
		}
	}
	return nil
}

// directories are those of which a route of a source may name files. The owner of
// the gateway, who writes the local ones, may name every file.
func (o Options) directories(source string) (dirs []string, everywhere bool) {
	switch source {
	case config.SourceHTTP.String(), config.SourceGit.String():
		return known(o.FilesDir), false
	case config.SourceKubernetes.String():
		// Where the sidecar puts certificates is not known where nothing is served.
		return known(o.RouteFiles, o.FilesDir), o.Backends == nil && o.RouteFiles == ""
	}
	return nil, true
}

func known(dirs ...string) (list []string) {
	for _, dir := range dirs {
		if dir != "" {
			list = append(list, dir)
		}
	}
	return list
}

// inPlace tells text from the path of a file, as its readers do.
func inPlace(value string) bool {
	if strings.Contains(value, "-----BEGIN") || strings.ContainsAny(value, "\r\n\x00") {
		return true
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil {
		return false
	}
	block, _ := pem.Decode(data)
	return block != nil
}

// within tells whether a file is in one of the directories, wherever links lead. A
// file that is not there yet is judged by its path, and again when it is.
func within(dirs []string, path string) error {
	full, err := filepath.Abs(path)
	if err != nil {
		return outside(dirs)
	}
	real, err := filepath.EvalSymlinks(full)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return outside(dirs)
	}
	for _, dir := range dirs {
		if !below(dir, full) {
			continue
		}
		if root, err := filepath.EvalSymlinks(dir); missing || err == nil && below(root, real) {
			return nil
		}
	}
	return outside(dirs)
}

func below(dir, path string) bool {
	rest, err := filepath.Rel(dir, path)
	return err == nil && rest != "." && filepath.IsLocal(rest)
}

func outside(dirs []string) error {
	if len(dirs) == 0 {
		return errors.New("names a file, but this gateway has no directory of files; give the text itself")
	}
	return fmt.Errorf("must be a file in %s, wherever links lead, or the text itself", strings.Join(dirs, " or "))
}
