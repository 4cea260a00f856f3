// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"cmp"
	"crypto/tls"
	"maps"
	"slices"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Set is an immutable choice of certificates. The methods are safe for concurrent use.
type Set struct {
	loaded map[pairKey]*loaded
	// order holds the pairs of the Source in its order.
	order  []*loaded
	owners map[ownerKey]*loaded
	files  []string

	// exact is by name, wildcard by what follows the asterisk: .example.com. The
	// newest certificate of a name comes first.
	exact, wildcard map[string][]*tls.Certificate
	// fallback is the configured default; nil without one.
	fallback   *tls.Certificate
	selfSigned *tls.Certificate
}

// Build makes the Set of a Source. It gives prev itself, which may be nil, when
// nothing is different. What cannot be used is a problem of its own object: an
// error when no version of it can be served, a warning when an older one is.
func Build(prev *Set, src Source) (*Set, []config.Problem) {
	if prev == nil {
		prev = &Set{}
	}
	next := &Set{
		loaded: map[pairKey]*loaded{}, owners: map[ownerKey]*loaded{}, selfSigned: prev.selfSigned,
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
		return prev, append(problems, prev.uncovered(src, problems)...)
	}
	next.index()
	return next, append(problems, next.uncovered(src, problems)...)
}

// add loads a pair once, however many objects name it.
func (s *Set) add(prev *Set, p pair) *loaded {
	key := pairKey{p.cert, p.key}
	l, ok := s.loaded[key]
	if !ok {
		l = load(p, prev.loaded[key], prev.owners[p.owner])
		s.loaded[key] = l
	}
	if p.owner != (ownerKey{}) {
		s.owners[p.owner] = l
	}
	if ok {
		return l
	}
	for _, path := range []string{p.cert, p.key} {
		if isPath(path) {
			s.files = append(s.files, path)
		}
	}
	return l
}

// setFallback sees that there is something to serve where nothing fits.
func (s *Set) setFallback(prev *Set, c *config.Certificate, now time.Time) *config.Problem {
	if s.selfSigned == nil || now.After(s.selfSigned.Leaf.NotAfter.Add(-renewBefore)) {
		s.selfSigned = selfSigned(now)
	}
	if c == nil || c.Cert == "" && c.Key == "" {
		return nil
	}
	p := pair{cert: c.Cert, key: c.Key.Reveal(), ref: gatewayRef, field: "gateway.tls.default"}
	l := s.add(prev, p)
	s.fallback = l.certificate
	return l.problem(p, now)
}

// renewBefore is what is left of a self-signed certificate when it is replaced.
const renewBefore = 30 * 24 * time.Hour

// same tells whether both sets serve the same and watch the same.
func (s *Set) same(prev *Set) bool {
	return prev.exact != nil && s.fallback == prev.fallback && s.selfSigned == prev.selfSigned &&
		slices.Equal(s.order, prev.order) && maps.Equal(s.loaded, prev.loaded) && maps.Equal(s.owners, prev.owners) &&
		slices.Equal(s.files, prev.files)
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
	if c := s.Find(h); c != nil {
		return c, nil
	}
	return s.Default(), nil
}

// Default is what is served where nothing fits.
func (s *Set) Default() *tls.Certificate {
	if s.fallback != nil && current(s.fallback, time.Now()) {
		return s.fallback
	}
	return s.selfSigned
}

// Find gives the certificate that fits a handshake; nil when none does.
func (s *Set) Find(h *tls.ClientHelloInfo) *tls.Certificate {
	now := time.Now()
	if name := canonical(h.ServerName); name != "" {
		if c := usable(s.exact[name], h, now); c != nil {
			return c
		}
		if _, parent, ok := strings.Cut(name, "."); ok {
			if c := usable(s.wildcard["."+parent], h, now); c != nil {
				return c
			}
		}
	}
	return nil
}

// Named gives the certificates that are valid now and may be served for a name: by
// what the client supports it is one of them.
func (s *Set) Named(name string) (list []*tls.Certificate) {
	now := time.Now()
	add := func(some []*tls.Certificate) {
		for _, c := range some {
			if current(c, now) {
				list = append(list, c)
			}
		}
	}
	name = canonical(name)
	if add(s.exact[name]); len(list) > 0 {
		return list
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		add(s.wildcard["."+parent])
	}
	return list
}

// usable gives the newest certificate that is valid now and that the client can
// verify; if it can verify none of them, the newest that is valid.
func usable(list []*tls.Certificate, h *tls.ClientHelloInfo, now time.Time) *tls.Certificate {
	var first *tls.Certificate
	for _, c := range list {
		if !current(c, now) {
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

func current(c *tls.Certificate, now time.Time) bool {
	return !now.Before(c.Leaf.NotBefore) && !now.After(c.Leaf.NotAfter)
}

// Files are the files and folders whose change makes another Set.
func (s *Set) Files() []string { return s.files }

// All lists the certificates in use, in the order of the Source, and the default last.
func (s *Set) All() (list []*tls.Certificate) {
	for _, l := range s.order {
		if l.certificate != nil {
			list = append(list, l.certificate)
		}
	}
	if s.fallback != nil {
		list = append(list, s.fallback)
	}
	return list
}

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
