// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

var (
	errPrivate = errors.New("holds a private key; give the public key that belongs to it")
	errNoPEM   = errors.New("holds no public key in PEM (PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE)")
)

// isPEM tells PEM from the path of a file.
func isPEM(text string) bool { return strings.Contains(text, "-----BEGIN ") }

// parsePEM reads all public keys of a PEM text. Other blocks, such as EC PARAMETERS,
// may stand between. M17
func parsePEM(text string) ([]key, error) {
	var keys []key
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		material, err := readBlock(block)
		if err != nil {
			return nil, err
		}
		if material == nil {
			continue
		}
		k, err := newKey("", material)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errNoPEM
	}
	return keys, nil
}

// readBlock gives nothing for a block that is no key.
func readBlock(block *pem.Block) (material any, err error) {
	switch {
	case block.Type == "PUBLIC KEY":
		material, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		material, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			material = certificate.PublicKey
		}
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errPrivate
	}
	if err != nil {
		return nil, fmt.Errorf("holds a %s that cannot be read: %w", block.Type, err)
	}
	return material, nil
}

// unwrapped gives the text that is in base64, as Secrets and variables often are;
// empty when the value is none.
func unwrapped(value string) string {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
	if err != nil {
		return ""
	}
	return string(data)
}
