// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Source is what a Set is made of.
type Source struct {
	// CertsDir holds pairs: NAME.crt, .cert or .pem with NAME.key, and folders
	// with tls.crt and tls.key. It need not exist.
	CertsDir string
	// Certificates are those of the main file.
	Certificates []config.Certificate
	// Default is served where no other certificate fits; nil for a self-signed one.
	Default *config.Certificate
	Routes  []RouteCert
}

// RouteCert is a certificate that a route brings.
type RouteCert struct {
	Ref config.ObjectRef
	// Field is where the route names it; empty is tls.certificate.
	Field string
	Hosts []string
	Cert  config.Certificate
}

func (r RouteCert) field() string { return cmp.Or(r.Field, routeField) }

// pair is one certificate of a Source, not yet read.
type pair struct {
	cert, key string
	ref       config.ObjectRef
	field     string
	// owner is the place that a route names the certificate at; the zero value for
	// those of the gateway, whose places move when their list changes.
	owner ownerKey
	// listed says that the pair was found in a directory.
	listed bool
}

// ownerKey is the n-th certificate of a route.
type ownerKey struct {
	ref config.ObjectRef
	n   int
}

// pairs lists the certificates of a Source, the default not among them, and the
// directories that were listed.
func (s Source) pairs() (list []pair, folders []string) {
	for i, c := range s.Certificates {
		list = append(list, pair{
			cert: c.Cert, key: c.Key.Reveal(), ref: gatewayRef, field: fmt.Sprintf("gateway.tls.certificates[%d]", i),
		})
	}
	brought := map[config.ObjectRef]int{}
	for _, r := range s.Routes {
		brought[r.Ref]++
		list = append(list, pair{
			cert: r.Cert.Cert, key: r.Cert.Key.Reveal(), ref: r.Ref, field: r.field(), owner: ownerKey{r.Ref, brought[r.Ref]},
		})
	}
	found, folders := inDirectory(s.CertsDir)
	return append(list, found...), folders
}

// routeField is the usual place.
const routeField = "tls.certificate"

var gatewayRef = config.ObjectRef{Kind: "Gateway"}

// inDirectory finds the pairs of a directory, in the order of their names. Hidden
// entries are skipped: Kubernetes keeps versions of mounted Secrets in them.
func inDirectory(dir string) (list []pair, folders []string) {
	if dir == "" {
		return nil, nil
	}
	folders = []string{dir}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, folders
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			folders = append(folders, path)
			if _, err := os.Stat(filepath.Join(path, "tls.crt")); err == nil {
				list = append(list, listed(filepath.Join(path, "tls.crt"), filepath.Join(path, "tls.key")))
			}
			continue
		}
		if key := keyFor(e.Name(), entries); key != "" {
			list = append(list, listed(path, filepath.Join(dir, key)))
		}
	}
	return list, folders
}

func listed(cert, key string) pair {
	return pair{cert: cert, key: key, ref: gatewayRef, field: "gateway.tls.certsDir", listed: true}
}

// keyFor gives the key that belongs to a certificate by its name: that of the same
// base name, else one whose base name begins with, or is the beginning of, it and
// that is no other certificate's. It is empty for a file that is no certificate.
func keyFor(name string, entries []os.DirEntry) string {
	base, ok := certificateName(name)
	if !ok {
		return ""
	}
	guess, taken := "", map[string]bool{}
	for _, e := range entries {
		if other, ok := certificateName(e.Name()); ok {
			taken[other] = true
		}
	}
	for _, e := range entries {
		other, isKey := strings.CutSuffix(e.Name(), ".key")
		switch {
		case !isKey || strings.HasPrefix(other, "."):
		case other == base:
			return e.Name()
		case guess == "" && !taken[other] && (strings.HasPrefix(base, other) || strings.HasPrefix(other, base)):
			guess = e.Name()
		}
	}
	return guess
}

func certificateName(name string) (base string, ok bool) {
	switch ext := filepath.Ext(name); ext {
	case ".crt", ".cert", ".pem":
		return strings.TrimSuffix(name, ext), true
	}
	return "", false
}
