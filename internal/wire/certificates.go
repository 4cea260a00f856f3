// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CertificatesAnnotation is where a pod of a gateway says what it knows of the
// certificates that it obtains.
const CertificatesAnnotation = "goma.jkaninda.dev/certificates"

// Certificate is what a gateway has obtained, or tries to, for a host.
type Certificate struct {
	Host string `json:"host"`
	// Issuer and NotAfter are those of the certificate; the zero values without one.
	Issuer   string    `json:"issuer,omitempty"`
	NotAfter time.Time `json:"notAfter,omitzero"`
	// Error is what the last attempt failed of.
	Error string `json:"error,omitempty"`
	// Next is when the next attempt, or the renewal, is; the zero value when that is
	// soon, or never.
	Next time.Time `json:"next,omitzero"`
}

const (
	// maxCertificatesBytes leaves room for some 250 hosts in an annotation.
	maxCertificatesBytes = 32 << 10
	maxCertificateError  = 256
)

// EncodeCertificates gives the text of the annotation: what lacks or fails first, and as
// many as there is room for.
func EncodeCertificates(list []Certificate) string {
	if len(list) == 0 {
		return ""
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Certificate) int {
		return cmp.Or(cmp.Compare(urgency(a), urgency(b)), strings.Compare(a.Host, b.Host))
	})
	var b strings.Builder
	b.WriteByte('[')
	for i, c := range list {
		if len(c.Error) > maxCertificateError {
			c.Error = strings.ToValidUTF8(c.Error[:maxCertificateError], "") + "…"
		}
		text, err := plainJSON(c)
		if err != nil || b.Len()+len(text) > maxCertificatesBytes {
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(text[:len(text)-1]) // without the end of the line
	}
	b.WriteByte(']')
	return b.String()
}

func urgency(c Certificate) int {
	switch {
	case c.NotAfter.IsZero():
		return 0
	case c.Error != "":
		return 1
	}
	return 2
}

// ParseCertificates reads the text of an annotation.
func ParseCertificates(text string) ([]Certificate, error) {
	if text == "" {
		return nil, nil
	}
	var list []Certificate
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("reading what a gateway says of its certificates: %w", err)
	}
	return list, nil
}
