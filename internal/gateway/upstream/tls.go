// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// tlsKey tells TLS settings apart by their content, so that a rotated certificate
// makes new connections and two routes with the same settings share theirs.
type tlsKey struct {
	insecure          bool
	roots, cert, pkey [sha256.Size]byte
}

// tlsSettings are how a route speaks TLS to its backends.
type tlsSettings struct {
	key    tlsKey
	config *tls.Config
	paths  []string
}

// tlsOf reads the TLS settings of a route. Each of them may be given alone.
func (g *Registry) tlsOf(r *config.Route) (*tlsSettings, []config.Problem) {
	insecure := g.settings.Networking.Transport.InsecureSkipVerify
	t := &tlsSettings{}
	var s config.BackendTLS
	if r.Security != nil && r.Security.TLS != nil {
		s = *r.Security.TLS
	}
	t.config = tlsConfig(insecure || s.InsecureSkipVerify)
	t.key.insecure = t.config.InsecureSkipVerify
	var problems []config.Problem
	if s.RootCAs != "" {
		if err := t.roots(s.RootCAs); err != nil {
			problems = append(problems, unusable("rootCAs", err))
		}
	}
	if s.ClientCert != "" || s.ClientKey != "" {
		if field, err := t.client(s.ClientCert, s.ClientKey.Reveal()); err != nil {
			problems = append(problems, unusable(field, err))
		}
	}
	return t, problems
}

// unusable says which part of the settings keeps the route from connecting.
func unusable(part string, err error) config.Problem {
	p := config.Problem{
		Field: "security.tls." + part, Reason: config.ReasonSecretInvalid, Message: part + " " + err.Error(),
	}
	if errors.Is(err, fs.ErrNotExist) {
		p.Reason = config.ReasonSecretNotFound
	}
	return p
}

// noFile is the error for a file that is not there.
type noFile string

func (f noFile) Error() string {
	return "is neither PEM nor base64 of PEM, and there is no file " + string(f)
}

// Is makes it the error that it stands for.
func (f noFile) Is(target error) bool { return target == fs.ErrNotExist }

var (
	errNoAuthority = errors.New("holds no certificate in PEM")
	errEmpty       = errors.New("is missing; a client certificate needs clientCert and clientKey")
)

func (t *tlsSettings) roots(value string) error {
	data, err := t.read(value)
	if err != nil {
		return err
	}
	t.config.RootCAs = x509.NewCertPool()
	if !t.config.RootCAs.AppendCertsFromPEM(data) {
		return errNoAuthority
	}
	t.key.roots = sha256.Sum256(data)
	return nil
}

// client loads the certificate that the gateway shows. The error comes with the
// field that it is about.
func (t *tlsSettings) client(cert, key string) (field string, err error) {
	certPEM, err := t.read(cert)
	if err != nil {
		return "clientCert", err
	}
	keyPEM, err := t.read(key)
	if err != nil {
		return "clientKey", err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return "clientCert", fmt.Errorf("cannot be used with its key: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
	t.config.Certificates = []tls.Certificate{pair}
	t.key.cert, t.key.pkey = sha256.Sum256(certPEM), sha256.Sum256(keyPEM)
	return "", nil
}

// read gives PEM text that is given in place, in base64, or by its path. No error
// repeats a value that may be a key.
func (t *tlsSettings) read(value string) ([]byte, error) {
	if value == "" {
		return nil, errEmpty
	}
	if strings.Contains(value, "-----BEGIN") {
		return []byte(value), nil
	}
	if data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value)); err == nil {
		if block, _ := pem.Decode(data); block != nil {
			return data, nil
		}
	}
	path, err := filepath.Abs(value)
	if err != nil || len(value) > maxPathBytes || strings.ContainsAny(value, "\n\r") {
		return nil, errNoPEM
	}
	t.paths = append(t.paths, path)
	data, err := os.ReadFile(path)
	if err == nil {
		return data, nil
	}
	shown := config.PrivateKey(value).String()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noFile(shown)
	}
	var reason *fs.PathError
	if errors.As(err, &reason) {
		err = reason.Err
	}
	return nil, fmt.Errorf("is file %s, which cannot be read: %w", shown, err)
}

const maxPathBytes = 4096

var errNoPEM = errors.New("is neither PEM, nor base64 of PEM, nor a path")
