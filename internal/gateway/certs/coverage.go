// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// uncovered warns of hosts of routes that bring certificates, when no certificate
// at all is valid for them: a parent's is not, and a wildcard is for one label. A3
// Of a route with an error there is enough to say already.
func (s *Set) uncovered(src Source, known []config.Problem) (problems []config.Problem) {
	faulty := map[config.ObjectRef]bool{}
	for _, p := range known {
		faulty[p.Object] = faulty[p.Object] || p.Severity == config.SeverityError
	}
	type place struct {
		ref  config.ObjectRef
		host string
	}
	warned := map[place]bool{}
	for _, r := range src.Routes {
		if faulty[r.Ref] {
			continue
		}
		for _, host := range r.Hosts {
			if p := (place{r.Ref, host}); warned[p] || s.covers(host) {
				continue
			}
			warned[place{r.Ref, host}] = true
			problems = append(problems, config.Problem{
				Object: r.Ref, Field: r.field(), Reason: config.ReasonSecretInvalid, Severity: config.SeverityWarning,
				Message: fmt.Sprintf("no certificate is valid for host %q, so clients that verify it will refuse; add the host to the certificate", host),
			})
		}
	}
	return problems
}

// Serves tells whether there is a certificate for a host, in normal form, that has
// not expired: the host needs no other one.
func (s *Set) Serves(host string, now time.Time) bool {
	valid := func(list []*tls.Certificate) bool {
		return slices.ContainsFunc(list, func(c *tls.Certificate) bool { return current(c, now) })
	}
	if parent, ok := strings.CutPrefix(host, "*"); ok {
		return valid(s.wildcard[parent])
	}
	if valid(s.exact[host]) || s.fallback != nil && current(s.fallback, now) && s.fallback.Leaf.VerifyHostname(host) == nil {
		return true
	}
	_, parent, ok := strings.Cut(host, ".")
	return ok && valid(s.wildcard["."+parent])
}

// covers tells whether a certificate, expired or not, names a host.
func (s *Set) covers(host string) bool {
	host, _ = normal.SplitPort(host)
	host = canonical(host)
	if host == "" || host == "*" {
		return true // any host
	}
	if parent, ok := strings.CutPrefix(host, "*"); ok {
		return len(s.wildcard[parent]) > 0 || s.fallback != nil && slices.Contains(names(s.fallback), host)
	}
	if ascii, err := normal.Host(host); err == nil {
		host = ascii
	}
	if len(s.exact[host]) > 0 || s.fallback != nil && s.fallback.Leaf.VerifyHostname(host) == nil {
		return true
	}
	_, parent, ok := strings.Cut(host, ".")
	return ok && len(s.wildcard["."+parent]) > 0
}
