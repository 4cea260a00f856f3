// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"cmp"
	"crypto/tls"
	"slices"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Set is an immutable choice of certificates. The methods are safe for concurrent use.
type Set struct {
	loaded map[pairKey]*loaded
	// order holds the pairs of the Source in its order.
	order []*loaded
	files []string

	// exact is by name, wildcard by what follows the asterisk: .example.com. The
	// newest certificate of a name comes first.
	exact, wildcard map[string][]*tls.Certificate
	fallback        *tls.Certificate
	selfSigned      *tls.Certificate
}

// Build makes the Set of a Source. It gives prev itself, which may be nil, when
// nothing is different. What cannot be used is a problem of its own object: an
// error when no version of it can be served, a warning when an older one is.
func Build(prev *Set, src Source) (*Set, []config.Problem) {
	if prev == nil {
		prev = &Set{}
	}
	next := &Set{
		loaded: map[pairKey]*loaded{}, selfSigned: prev.selfSigned,
		exact: map[string][]*tls.Certificate{}, wildcard: map[string][]*tls.Certificate{},
	}
	now := time.Now()
	pairs, folders := src.pairs()
	next.files = folders
	var problems []config.Problem
	for _, p := range pairs {
		l := next.add(prev, p)
		next.order = append(next.order, l)
		if problem := l.problem(p, now); problem != nil {
			problems = append(problems, *problem)
		}
	}
	if problem := next.setFallback(prev, src.Default, now); problem != nil {
		problems = append(problems, *problem)
	}
	if next.same(prev) {
		return prev, problems
	}
	next.index()
	return next, problems
}

// add loads a pair once, however many objects name it.
func (s *Set) add(prev *Set, p pair) *loaded {
	key := pairKey{p.cert, p.key}
	if l, ok := s.loaded[key]; ok {
		return l
	}
	l := load(p, prev.loaded[key])
	s.loaded[key] = l
	for _, path := range []string{p.cert, p.key} {
		if isPath(path) {
			s.files = append(s.files, path)
		}
	}
	return l
}

func (s *Set) setFallback(prev *Set, c *config.Certificate, now time.Time) (problem *config.Problem) {
	if c != nil && (c.Cert != "" || c.Key != "") {
		p := pair{cert: c.Cert, key: c.Key.Reveal(), ref: gatewayRef, field: "gateway.tls.default"}
		l := s.add(prev, p)
		if problem = l.problem(p, now); l.certificate != nil {
			s.fallback = l.certificate
			return problem
		}
	}
	if s.selfSigned == nil {
		s.selfSigned = selfSigned(now)
	}
	s.fallback = s.selfSigned
	return problem
}

// same tells whether both sets serve the same and watch the same.
func (s *Set) same(prev *Set) bool {
	return prev.exact != nil && s.fallback == prev.fallback && slices.Equal(s.order, prev.order) &&
		len(s.loaded) == len(prev.loaded) && slices.Equal(s.files, prev.files)
}

func (s *Set) index() {
	for _, l := range s.order {
		if l.certificate == nil {
			continue
		}
		for _, name := range names(l.certificate) {
			table := s.exact
			if rest, ok := strings.CutPrefix(name, "*"); ok {
				table, name = s.wildcard, rest
			}
			if !slices.Contains(table[name], l.certificate) {
				table[name] = append(table[name], l.certificate)
			}
		}
	}
	for _, table := range []map[string][]*tls.Certificate{s.exact, s.wildcard} {
		for _, list := range table {
			slices.SortStableFunc(list, newestFirst)
		}
	}
}

func newestFirst(a, b *tls.Certificate) int {
	return cmp.Or(b.Leaf.NotBefore.Compare(a.Leaf.NotBefore), b.Leaf.NotAfter.Compare(a.Leaf.NotAfter))
}

// names gives those that a certificate is valid for. One without any alternative
// name has only its common name, as old self-made ones do.
func names(c *tls.Certificate) []string {
	list := c.Leaf.DNSNames
	if len(list) == 0 && len(c.Leaf.IPAddresses) == 0 && c.Leaf.Subject.CommonName != "" {
		list = []string{c.Leaf.Subject.CommonName}
	}
	var out []string
	for _, name := range list {
		if name = canonical(name); wellFormed(name) {
			out = append(out, name)
		}
	}
	return out
}

// wellFormed takes an asterisk only as the whole first label, above two others
// or one (an internal top-level name).
func wellFormed(name string) bool {
	rest, wild := strings.CutPrefix(name, "*.")
	return rest != "" && !strings.Contains(rest, "*") && (wild || name == rest)
}

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// GetCertificate implements the callback of tls.Config.
func (s *Set) GetCertificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := canonical(h.ServerName)
	if name != "" {
		if c := usable(s.exact[name], h); c != nil {
			return c, nil
		}
		if _, parent, ok := strings.Cut(name, "."); ok {
			if c := usable(s.wildcard["."+parent], h); c != nil {
				return c, nil
			}
		}
	}
	return s.fallback, nil
}

// usable gives the newest certificate that is valid now and that the client can
// verify; if it can verify none of them, the newest that is valid.
func usable(list []*tls.Certificate, h *tls.ClientHelloInfo) *tls.Certificate {
	var first *tls.Certificate
	if len(list) == 0 {
		return nil
	}
	now := time.Now()
	for _, c := range list {
		if now.Before(c.Leaf.NotBefore) || now.After(c.Leaf.NotAfter) {
			continue
		}
		if h.SupportsCertificate(c) == nil {
			return c
		}
		if first == nil {
			first = c
		}
	}
	return first
}

// Files are the files and folders whose change makes another Set.
func (s *Set) Files() []string { return s.files }

// Expiry is when a certificate ends.
type Expiry struct {
	Names    []string
	NotAfter time.Time
}

// Expiries lists the certificates in use, in the order of the Source.
func (s *Set) Expiries() []Expiry {
	var out []Expiry
	for _, l := range s.order {
		if l.certificate != nil {
			out = append(out, Expiry{names(l.certificate), l.certificate.Leaf.NotAfter})
		}
	}
	return out
}
