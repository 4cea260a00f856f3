// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
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
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// pairKey tells certificates apart by where they come from.
type pairKey struct{ cert, key string }

// loaded is a pair as it was read. It does not change.
type loaded struct {
	key pairKey
	// certID and keyID are the files as they were; settled says that a change
	// since must have changed them.
	certID, keyID source.Identity
	settled       bool
	// certificate is the pair, or the last good version of it; nil when there
	// was none.
	certificate *tls.Certificate
	// err says what is wrong with the present version.
	err error
}

// maxFileBytes bounds a certificate chain or a key.
const maxFileBytes = 1 << 20

var (
	errEmpty    = errors.New("certificate and key must both be given")
	errTooLarge = errors.New("the file is larger than 1 MiB")
	errNoFile   = errors.New("it is not a file")
)

// load reads a pair, or takes it over from before when it has not changed. last is
// what its owner had before under another path or as other text; either may be nil.
func load(p pair, before, last *loaded) *loaded {
	next := &loaded{key: pairKey{p.cert, p.key}}
	if isPath(p.cert) {
		next.certID = source.Identify(p.cert)
	}
	if isPath(p.key) {
		next.keyID = source.Identify(p.key)
	}
	if before != nil && before.settled && before.certID == next.certID && before.keyID == next.keyID {
		return before
	}
	now := time.Now()
	next.settled = next.certID.Settled(now) && next.keyID.Settled(now)
	next.certificate, next.err = read(p)
	if before == nil {
		before = last
	}
	if before != nil {
		next.keep(before)
	}
	return next
}

// keep takes over the last good version of a pair that is broken, and the parsed
// one of a pair that is the same as before. A pair that is gone is gone. A4, A5
func (l *loaded) keep(before *loaded) {
	switch {
	case before.certificate == nil || errors.Is(l.err, fs.ErrNotExist):
	case l.err != nil:
		l.certificate = before.certificate
	case l.certificate.Leaf.Equal(before.certificate.Leaf) && len(l.certificate.Certificate) == len(before.certificate.Certificate):
		l.certificate = before.certificate
	}
}

// read reads and checks a pair. The two files may be exchanged while they are
// read, so what does not fit together is looked at once more.
func read(p pair) (*tls.Certificate, error) {
	certificate, err := readOnce(p)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		certificate, err = readOnce(p)
	}
	return certificate, err
}

func readOnce(p pair) (*tls.Certificate, error) {
	if p.cert == "" || p.key == "" {
		return nil, errEmpty
	}
	cert, key := sameVersion(p.cert, p.key)
	certPEM, err := content(cert)
	if err != nil {
		return nil, err
	}
	keyPEM, err := content(key)
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		// The messages of crypto/tls name what is wrong, never the key.
		return nil, errors.New(strings.TrimPrefix(err.Error(), "tls: "))
	}
	if certificate.Leaf == nil {
		if certificate.Leaf, err = x509.ParseCertificate(certificate.Certificate[0]); err != nil {
			return nil, fmt.Errorf("parsing the certificate: %w", err)
		}
	}
	return &certificate, nil
}

// sameVersion follows the symbolic links of a certificate once, and takes the key
// from where they lead to: both then belong to one version of a mounted Secret,
// even if the link is moved in between. K3
func sameVersion(cert, key string) (string, string) {
	if !isPath(cert) || !isPath(key) || filepath.Dir(cert) != filepath.Dir(key) {
		return cert, key
	}
	real, err := filepath.EvalSymlinks(cert)
	if err != nil {
		return cert, key
	}
	beside := filepath.Join(filepath.Dir(real), filepath.Base(key))
	if _, err := os.Stat(beside); err != nil {
		return real, key
	}
	return real, beside
}

// isPath tells a path from PEM text and from base64 of it.
func isPath(value string) bool {
	if value == "" || len(value) > maxPathBytes || strings.ContainsAny(value, "\n\x00") || strings.HasPrefix(value, "-----BEGIN") {
		return false
	}
	return filepath.IsAbs(value) || inBase64(value) == nil
}

const maxPathBytes = 4096

// inBase64 decodes PEM text in base64; nil for anything else.
func inBase64(value string) []byte {
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil {
		return nil
	}
	if block, _ := pem.Decode(data); block == nil {
		return nil
	}
	return data
}

// content gives PEM text given in place, in base64, or by its path. An error
// names the path and no content.
func content(value string) ([]byte, error) {
	if !isPath(value) {
		if data := inBase64(value); data != nil {
			return data, nil
		}
		return []byte(value), nil
	}
	info, err := os.Stat(value)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", value, errNoFile) // a device or a pipe has no end
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s: %w", value, errTooLarge)
	}
	return os.ReadFile(value)
}

// problem says what is wrong with a pair; nil when nothing is.
func (l *loaded) problem(p pair, now time.Time) *config.Problem {
	out := config.Problem{Object: p.ref, Field: p.field, Reason: config.ReasonSecretInvalid}
	where := ""
	if p.listed {
		where = p.cert + ": "
	}
	switch {
	case l.err != nil && errors.Is(l.err, fs.ErrNotExist):
		out.Reason = config.ReasonSecretNotFound
		out.Message = where + missing(l.err)
	case l.err != nil && l.certificate != nil:
		out.Severity = config.SeverityWarning
		out.Message = fmt.Sprintf("%sthe pair cannot be used, the last good one stays in use: %v", where, l.err)
	case l.err != nil:
		out.Message = fmt.Sprintf("%sthe pair cannot be used: %v", where, l.err)
	case now.After(l.certificate.Leaf.NotAfter):
		out.Severity = config.SeverityWarning
		out.Message = fmt.Sprintf("%sthe certificate expired on %s and is not served; renew it",
			where, l.certificate.Leaf.NotAfter.UTC().Format(time.DateTime))
	default:
		return nil
	}
	return &out
}

func missing(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return "there is no file " + path.Path + "; the certificate is served once it is there"
	}
	return "the certificate is missing"
}
