// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"gateway.jkaninda.dev/goma/internal/certstore"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/certs/acme/dns"
)

const (
	// LetsEncrypt is the directory where none is configured.
	LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"
	// storeDir is where store files are that have no directory.
	storeDir = "/etc/letsencrypt"
	// standardName is the provider of the short form.
	standardName = "default"
	kindACME     = "acme"
)

// provider is a place to obtain certificates from.
type provider struct {
	name      string
	place     place
	challenge string
	issuer    issuer
	// public tells that only names of the public Internet are issued for.
	public bool
	// off says why nothing is obtained; empty when it works.
	off string
}

// refuses says why a host can never have a certificate of this provider.
func (p *provider) refuses(host string) string {
	switch {
	case p.off != "":
		return p.off
	case strings.HasPrefix(host, "*.") && p.challenge != acme.ChallengeTypeDNS01:
		return "a wildcard needs challengeType dns-01, and " + p.challenge + " is configured; name each host, or change the challenge"
	case !certmagic.SubjectQualifiesForCert(host), p.public && !certmagic.SubjectQualifiesForPublicCert(host):
		return "a public authority issues for names of the Internet only; bring a certificate for this one, or set tls.provider to none"
	}
	return ""
}

// Able tells whether a certificate can be for a host at all: it is a name.
func Able(host string) bool {
	if host == "" || host == "*" || strings.Contains(strings.TrimPrefix(host, "*."), "*") {
		return false
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err != nil
}

// configure makes the providers.
func (m *Manager) configure(o Options) {
	list := o.Settings.All()
	dir := ""
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if p := list[name]; p.ACME != nil && (dir == "" || name == standardName) {
			dir = directoryFor(storageFile(name, p.ACME))
		}
	}
	if dir == "" {
		dir = directoryFor(storageFile(standardName, &config.ACME{}))
	}
	local := newFiles(dir)
	m.store = local
	switch {
	case o.Shared != nil:
		m.store = mirrored{to: shared{o.Shared}, copy: local}
	case o.Socket != "":
		m.store = mirrored{to: beside{certstore.NewClient(o.Socket)}, copy: local}
	}
	for _, name := range slices.Sorted(maps.Keys(list)) {
		p := m.provider(o, name, list[name])
		m.providers[name] = p
	}
	m.standard = m.providers[o.Settings.Default()]
	if m.standard == nil && len(list) > 0 {
		m.complain("certManager.defaultProvider", "there is no such provider, so only routes that name one get certificates")
	}
}

// storageFile is where other programs, and earlier ones, keep certificates.
func storageFile(name string, a *config.ACME) string {
	switch {
	case a.StorageFile != "" && !strings.Contains(a.StorageFile, "/"):
		return filepath.Join(storeDir, a.StorageFile)
	case a.StorageFile != "":
		return a.StorageFile
	case name == standardName:
		return filepath.Join(storeDir, "acme.json")
	}
	return filepath.Join(storeDir, "acme-"+name+".json")
}

// directoryFor is beside the file, which stays as it is.
func directoryFor(file string) string { return strings.TrimSuffix(file, filepath.Ext(file)) + ".d" }

func (m *Manager) complain(field, message string) {
	m.settings = append(m.settings, config.Problem{
		Object: config.ObjectRef{Kind: "Gateway"}, Field: field, Reason: config.ReasonInvalid,
		Severity: config.SeverityWarning, Message: message,
	})
}

// provider makes one. What keeps it from working is a problem of its own, and the
// reason of every host that wants it.
func (m *Manager) provider(o Options, name string, c config.CertProvider) *provider {
	field := "certManager.providers." + name + ".acme"
	if name == standardName && o.Settings.ACME == c.ACME {
		field = "certManager.acme"
	}
	p := &provider{name: name}
	fail := func(key, message string) *provider {
		p.off = message
		m.complain(field+key, message)
		return p
	}
	a := c.ACME
	switch {
	case !strings.EqualFold(c.Type, kindACME):
		return fail("", fmt.Sprintf("this build obtains certificates by ACME only, so the provider of type %q is off", c.Type))
	case a == nil:
		return fail("", "there are no settings; no certificates are obtained")
	case a.Email == "":
		return fail(".email", "is missing; no certificates are obtained without a contact address")
	case a.TermsAccepted != nil && !*a.TermsAccepted:
		return fail(".termsAccepted", "is false; no account is made and no certificates are obtained until the terms of the authority are accepted")
	}
	p.challenge = strings.ToLower(a.ChallengeType)
	if p.challenge == "" {
		p.challenge = acme.ChallengeTypeHTTP01
	}
	directory := a.DirectoryURL
	if directory == "" {
		directory = LetsEncrypt
	}
	p.public = directory == LetsEncrypt
	p.place = placeOf(directory)
	if err := checkDirectory(directory); err != nil {
		return fail(".directoryUrl", err.Error()+"; no certificates are obtained")
	}
	client, err := httpClient(a.RootCAs, development(o.Env))
	if err != nil {
		return fail(".rootCAs", err.Error()+"; no certificates are obtained")
	}
	if a.EAB != nil && config.Unresolved(a.EAB.HMACKey.Reveal()) != "" {
		return fail(".eab.hmacKey", "its variable has no value; no certificates are obtained without the external account")
	}
	solvers, key, err := m.solvers(o, p.challenge, a)
	if err != nil {
		return fail(key, err.Error())
	}
	p.issuer = &authority{
		directory: directory, place: p.place, email: a.Email, binding: binding(a), keyType: a.KeyType, http: client, solvers: solvers, store: m.store,
	}
	file := storageFile(name, a)
	m.imports = append(m.imports, func(ctx context.Context) *config.Problem { return m.bring(ctx, p, a.Email, directory, file, field) })
	return p
}

func binding(a *config.ACME) *acme.EAB {
	if a.EAB == nil || a.EAB.KeyID == "" {
		return nil
	}
	return &acme.EAB{KeyID: a.EAB.KeyID, MACKey: a.EAB.HMACKey.Reveal()}
}

// solvers gives the answers to challenges; on an error, the field at fault.
func (m *Manager) solvers(o Options, kind string, a *config.ACME) (map[string]acmez.Solver, string, error) {
	switch kind {
	case acme.ChallengeTypeHTTP01:
		return map[string]acmez.Solver{kind: challenges{m.store, byToken}}, "", nil
	case acme.ChallengeTypeTLSALPN01:
		return map[string]acmez.Solver{kind: challenges{m.store, byHost}}, "", nil
	case acme.ChallengeTypeDNS01:
		zone, err := dns.New(a.DNSProvider, func(key string) string { return credential(a, o.Env, key) })
		if err != nil {
			return nil, ".dnsProvider", err
		}
		solver := &certmagic.DNS01Solver{}
		solver.DNSProvider, solver.Resolvers, solver.TTL = zone, a.Resolvers, recordTime
		solver.PropagationTimeout = time.Duration(a.PropagationTimeout)
		if a.SkipPropagationCheck {
			solver.PropagationTimeout = -1
		}
		return map[string]acmez.Solver{kind: solver}, "", nil
	}
	return nil, ".challengeType", fmt.Errorf("unknown value %q; use http-01, tls-alpn-01 or dns-01", kind)
}

// recordTime is how long others may remember the record of a challenge.
const recordTime = time.Minute

// credential gives what a provider of DNS needs: of the settings, else of the
// environment, where the keys of a Secret are.
func credential(a *config.ACME, env config.Expander, key string) string {
	if value := a.Credentials[key].Reveal(); value != "" && config.Unresolved(value) == "" {
		return value
	}
	value, _ := env(key)
	return value
}

func checkDirectory(directory string) error {
	u, err := url.Parse(directory)
	if err != nil || u.Host == "" {
		return errors.New("is no absolute URL")
	}
	if u.Scheme == "https" {
		return nil
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); u.Scheme == "http" && (host == "localhost" || err == nil && ip.IsLoopback()) {
		return nil
	}
	return errors.New("must begin with https://")
}

// development tells that authorities of this machine need no known certificate.
func development(env config.Expander) bool {
	value, _ := env("GOMA_ENV")
	return value == "local" || value == "development"
}

// httpClient makes the way to an authority. Its own roots are added to those of the
// system.
func httpClient(roots string, insecure bool) (*http.Client, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // as the setting wants it
	if config.Unresolved(roots) != "" {
		return nil, errors.New("its variable has no value")
	}
	if roots != "" {
		text, err := material(roots)
		if err != nil {
			return nil, err
		}
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("holds no certificate")
		}
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: c, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns: 4, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
	}}, nil
}

// material gives what is PEM text, base64 of it, or the path of a file.
func material(value string) ([]byte, error) {
	if strings.Contains(value, "-----BEGIN ") {
		return []byte(value), nil
	}
	if text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value)); err == nil && strings.Contains(string(text), "-----BEGIN ") {
		return text, nil
	}
	return os.ReadFile(value)
}
