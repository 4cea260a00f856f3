// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"

	"gateway.jkaninda.dev/goma/internal/config"
)

// TestSettingsOfAnAuthorityReachWhoAsksIt looks at what is made of the settings, in the
// short form and in that of a provider with a name. C7
func TestSettingsOfAnAuthorityReachWhoAsksIt(t *testing.T) {
	t.Parallel()
	roots := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: selfMade("ca.example.org", time.Now(), time.Hour).pair.Certificate[0]}))
	full := &config.ACME{
		Email: "a@b.c", KeyType: "p384", RootCAs: roots, EAB: &config.ExternalAccount{KeyID: "kid-1", HMACKey: "c2VjcmV0"},
		ChallengeType: "dns-01", DNSProvider: "rfc2136", Resolvers: []string{"192.0.2.53:53"}, PropagationTimeout: config.Duration(7 * time.Minute),
		Credentials: map[string]config.Secret{"RFC2136_NAMESERVER": "192.0.2.9:53"},
	}
	for form, settings := range map[string]*config.CertManager{
		"short": {ACME: full}, "of a provider": {Providers: map[string]config.CertProvider{"p": {Type: "acme", ACME: full}}},
	} {
		a := issuerOf(t, settings)
		if a.email != "a@b.c" || a.keyType != "p384" || a.binding == nil || *a.binding != (acme.EAB{KeyID: "kid-1", MACKey: "c2VjcmV0"}) {
			t.Errorf("%s: %+v", form, a)
		}
		none, err := httpClient("", false)
		must(t, err)
		if system, with := pool(none), pool(a.http); with == nil || system.Equal(with) {
			t.Errorf("%s: the roots are not trusted", form)
		}
		s := a.solvers["dns-01"].(*certmagic.DNS01Solver)
		if s.DNSProvider == nil || !slices.Equal(s.Resolvers, full.Resolvers) || s.PropagationTimeout != 7*time.Minute {
			t.Errorf("%s: %+v", form, s)
		}
	}
	without := *full
	without.SkipPropagationCheck = true
	if s := issuerOf(t, &config.CertManager{ACME: &without}).solvers["dns-01"].(*certmagic.DNS01Solver); s.PropagationTimeout != -1 {
		t.Errorf("records are waited for: %v", s.PropagationTimeout)
	}
	without.Credentials = nil
	if m := New(Options{Settings: &config.CertManager{ACME: &without}}); len(m.Problems()) == 0 {
		t.Error("credentials that are missing are no problem")
	}
}

func issuerOf(t *testing.T, settings *config.CertManager) *authority {
	t.Helper()
	m := New(Options{Settings: settings})
	if p := m.Problems(); len(p) != 0 {
		t.Fatalf("problems %v", p)
	}
	return m.standard.issuer.(*authority)
}

func pool(c *http.Client) *x509.CertPool {
	return c.Transport.(*http.Transport).TLSClientConfig.RootCAs
}
