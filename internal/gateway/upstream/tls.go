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

func (t *tlsSettings) files() []string { return t.paths }

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
			problems = append(problems, unusable("security.tls.rootCAs", err))
		}
	}
	if s.ClientCert != "" || s.ClientKey != "" {
		if err := t.client(s.ClientCert, s.ClientKey.Reveal()); err != nil {
			problems = append(problems, unusable("security.tls.clientCert", err))
		}
	}
	return t, problems
}

func unusable(field string, err error) config.Problem {
	p := config.Problem{Field: field, Reason: config.ReasonSecretInvalid, Message: err.Error()}
	if errors.Is(err, fs.ErrNotExist) {
		p.Reason = config.ReasonSecretNotFound
	}
	return p
}

var errNoAuthority = errors.New("holds no certificate in PEM")

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

func (t *tlsSettings) client(cert, key string) error {
	certPEM, err := t.read(cert)
	if err != nil {
		return err
	}
	keyPEM, err := t.read(key)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("the client certificate cannot be used: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
	t.config.Certificates = []tls.Certificate{pair}
	t.key.cert, t.key.pkey = sha256.Sum256(certPEM), sha256.Sum256(keyPEM)
	return nil
}

// read gives PEM text that is given in place, in base64, or by its path.
func (t *tlsSettings) read(value string) ([]byte, error) {
	if strings.Contains(value, "-----BEGIN") {
		return []byte(value), nil
	}
	if data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value)); err == nil {
		if block, _ := pem.Decode(data); block != nil {
			return data, nil
		}
	}
	if filepath.IsAbs(value) {
		t.paths = append(t.paths, value)
	}
	data, err := os.ReadFile(value)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s: %w", value, fs.ErrNotExist)
	}
	return data, err
}
