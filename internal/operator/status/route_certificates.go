// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// routeCertificates says of each host of the Route what the gateway has obtained for it.
// It has no part in Ready: the Route serves by what certificate there is.
func routeCertificates(c *conditions, f RouteFacts) {
	var texts []string
	worst := ReasonCertificateIssued
	seen := map[string]bool{}
	for _, g := range f.Gateways {
		for _, certificate := range g.Live.Certificates {
			why, text := certificateText(certificate, f.Now)
			if seen[text] {
				continue
			}
			seen[text] = true
			texts = append(texts, text)
			if why != ReasonCertificateIssued && worst != string(config.ReasonCertificate) {
				worst = why
			}
		}
	}
	if len(texts) > 0 {
		c.set(CertificateReady, worst == ReasonCertificateIssued, worst, strings.Join(texts, "; "))
	}
}

func certificateText(c wire.Certificate, now time.Time) (why, text string) {
	valid := c.NotAfter.After(now)
	next := ""
	if !c.Next.IsZero() {
		next = ", next attempt at " + moment(c.Next)
	}
	has := "issued by " + c.Issuer + ", valid until " + moment(c.NotAfter)
	switch {
	case valid && c.Error == "" && !c.Next.IsZero():
		return ReasonCertificateIssued, c.Host + ": " + has + ", renewal at " + moment(c.Next)
	case valid && c.Error == "":
		return ReasonCertificateIssued, c.Host + ": " + has
	case valid:
		return ReasonCertificateIssued, c.Host + ": " + has + "; it could not be renewed: " + c.Error + next
	case c.Error != "":
		return string(config.ReasonCertificate), c.Host + ": no certificate: " + c.Error + next
	case !c.NotAfter.IsZero():
		return ReasonCertificatePending, c.Host + ": the certificate has ended at " + moment(c.NotAfter) + " and is being renewed"
	}
	return ReasonCertificatePending, c.Host + ": a certificate is being obtained"
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }
