// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	Ref   config.ObjectRef
	Hosts []string
	Cert  config.Certificate
}

// pair is one certificate of a Source, not yet read.
type pair struct {
	cert, key string
	ref       config.ObjectRef
	field     string
	hosts     []string
	// listed says that the pair was found in a directory.
	listed bool
}

// pairs lists the certificates of a Source, the default not among them, and the
// directories that were listed.
func (s Source) pairs() (list []pair, folders []string) {
	for i, c := range s.Certificates {
		list = append(list, pair{
			cert: c.Cert, key: c.Key.Reveal(), ref: gatewayRef, field: fmt.Sprintf("gateway.tls.certificates[%d]", i),
		})
	}
	for _, r := range s.Routes {
		list = append(list, pair{cert: r.Cert.Cert, key: r.Cert.Key.Reveal(), ref: r.Ref, field: "tls.certificate", hosts: r.Hosts})
	}
	found, folders := inDirectory(s.CertsDir)
	return append(list, found...), folders
}

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
	var keys []string
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") && filepath.Ext(name) == ".key" {
			keys = append(keys, name)
		}
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
		if key := keyFor(e.Name(), keys); key != "" {
			list = append(list, listed(path, filepath.Join(dir, key)))
		}
	}
	return list, folders
}

func listed(cert, key string) pair {
	return pair{cert: cert, key: key, ref: gatewayRef, field: "gateway.tls.certsDir", listed: true}
}

// keyFor gives the key that belongs to a certificate by its name: that of the same
// base name, else one whose base name begins with, or is the beginning of, it.
func keyFor(name string, keys []string) string {
	ext := filepath.Ext(name)
	if ext != ".crt" && ext != ".cert" && ext != ".pem" {
		return ""
	}
	base := strings.TrimSuffix(name, ext)
	if slices.Contains(keys, base+".key") {
		return base + ".key"
	}
	for _, key := range keys {
		other := strings.TrimSuffix(key, ".key")
		if strings.HasPrefix(base, other) || strings.HasPrefix(other, base) {
			return key
		}
	}
	return ""
}
