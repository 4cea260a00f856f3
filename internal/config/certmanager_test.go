// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/tls"
	"slices"
	"testing"
)

func TestARouteWithAnUnknownProviderOfCertificatesIsSetAsideAlone(t *testing.T) { // A12
	t.Parallel()
	route := func(name, provider string) Route {
		r := Route{Name: name, Path: "/" + name, Target: "http://127.0.0.1:1"}
		if provider != "" {
			r.TLS = &RouteTLS{Provider: provider}
		}
		return r
	}
	f := &File{CertManager: &CertManager{Providers: map[string]CertProvider{"le": {Type: "acme"}}}}
	f.Gateway.Routes = []Route{route("a", "le"), route("b", "nobody"), route("c", "none"), route("d", "")}
	c, problems := Merge(f, nil)
	var names []string
	for _, r := range c.Routes {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{"a", "c", "d"}) || len(problems) != 1 || problems[0].Field != "tls.provider" || problems[0].Object.Name != "b" {
		t.Errorf("routes %v, problems %v", names, problems)
	}
}

func TestTheProviderOfRoutesThatNameNone(t *testing.T) {
	t.Parallel()
	two := map[string]CertProvider{"a": {}, "b": {}}
	for want, m := range map[string]*CertManager{
		"":        {Providers: two},
		"a":       {Providers: map[string]CertProvider{"a": {}}},
		"b":       {Providers: two, DefaultProvider: "b"},
		"default": {Providers: two, ACME: &ACME{}},
	} {
		if got := m.Default(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	if (*CertManager)(nil).Default() != "" || (&CertManager{DefaultProvider: "x", ACME: &ACME{}}).Default() != "" {
		t.Error("a provider that does not exist is the default")
	}
}

func TestSettingsOfHandshakes(t *testing.T) { // A6
	t.Parallel()
	if v := (*TLS)(nil).Version(); v != tls.VersionTLS12 {
		t.Errorf("the default version is %x", v)
	}
	good := &TLS{MinVersion: "1.3", CipherSuites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}, Curves: []string{"X25519MLKEM768", "P-256"}}
	if good.Version() != tls.VersionTLS13 || len(good.Suites()) != 1 || !slices.Equal(good.Exchanges(), []tls.CurveID{tls.X25519MLKEM768, tls.CurveP256}) {
		t.Errorf("%x %v %v", good.Version(), good.Suites(), good.Exchanges())
	}
	f := &File{}
	f.Gateway.TLS = good
	if p := ValidateFile(f); HasErrors(p) {
		t.Errorf("problems %v", p)
	}
	f.Gateway.TLS = &TLS{MinVersion: "1.0", CipherSuites: []string{"TLS_RSA_WITH_RC4_128_SHA"}, Curves: []string{"brainpool"}}
	var fields []string
	for _, p := range ValidateFile(f) {
		if p.Severity == SeverityError {
			fields = append(fields, p.Field)
		}
	}
	slices.Sort(fields)
	if !slices.Equal(fields, []string{"gateway.tls.cipherSuites[0]", "gateway.tls.curves[0]", "gateway.tls.minVersion"}) {
		t.Errorf("fields %v", fields)
	}
}
