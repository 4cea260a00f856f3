// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// made is a certificate in PEM.
type made struct{ cert, key string }

// spec says what certificate to make.
type spec struct {
	names      []string
	from, till time.Duration
	key        crypto.Signer
}

func make1(t *testing.T, s spec) made {
	t.Helper()
	if s.key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s.key = key
	}
	if s.till == 0 {
		s.till = time.Hour
	}
	if s.from == 0 {
		s.from = -time.Hour
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "test"}, DNSNames: s.names,
		NotBefore: time.Now().Add(s.from), NotAfter: time.Now().Add(s.till),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return made{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
	}
}

func named(t *testing.T, names ...string) made {
	t.Helper()
	return make1(t, spec{names: names})
}

func (m made) inline() config.Certificate {
	return config.Certificate{Cert: m.cert, Key: config.PrivateKey(m.key)}
}

func (m made) write(t *testing.T, dir, cert, key string) config.Certificate {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := config.Certificate{Cert: filepath.Join(dir, cert), Key: config.PrivateKey(filepath.Join(dir, key))}
	write(t, c.Cert, m.cert)
	write(t, c.Key.Reveal(), m.key)
	return c
}

// write makes a file that is not the one before, and old enough to be settled.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// served gives the names of the certificate that a real handshake shows.
func served(t *testing.T, s *Set, name string) string {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Server(server, &tls.Config{GetCertificate: s.GetCertificate, MinVersion: tls.VersionTLS12}).Handshake()
	}()
	conn := tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // looked at below
	if err := conn.Handshake(); err != nil {
		t.Fatalf("handshake for %q: %v", name, err)
	}
	leaf := conn.ConnectionState().PeerCertificates[0]
	_ = client.Close()
	<-done
	if leaf.Subject.CommonName == "GOMA DEFAULT CERT" {
		return "self-signed"
	}
	return strings.Join(leaf.DNSNames, ",")
}

func build(t *testing.T, prev *Set, src Source, problems ...config.Reason) *Set {
	t.Helper()
	s, got := Build(prev, src)
	var reasons []config.Reason
	for _, p := range got {
		reasons = append(reasons, p.Reason)
		if strings.Contains(p.Message, "PRIVATE KEY") {
			t.Errorf("a key shows in %q", p.Message) // C8
		}
	}
	if len(reasons) != len(problems) {
		t.Fatalf("problems %v, want %v", got, problems)
	}
	for i := range reasons {
		if reasons[i] != problems[i] {
			t.Fatalf("problems %v, want %v", got, problems)
		}
	}
	return s
}

func TestANameGetsOnlyACertificateThatIsValidForIt(t *testing.T) { // A3
	t.Parallel()
	s := build(t, nil, Source{Certificates: []config.Certificate{
		named(t, "*.example.com").inline(), named(t, "api.example.com", "api2.example.com").inline(),
		named(t, "*").inline(), named(t, "a.*.com").inline(), named(t, "Upper.Example.ORG").inline(),
	}})
	for name, want := range map[string]string{
		"api.example.com":   "api.example.com,api2.example.com",
		"API.Example.com":   "api.example.com,api2.example.com",
		"www.example.com":   "*.example.com",
		"a.www.example.com": "self-signed",
		"example.com":       "self-signed",
		"a.b.com":           "self-signed",
		"upper.example.org": "Upper.Example.ORG",
		"other":             "self-signed",
		"":                  "self-signed",
	} {
		if got := served(t, s, name); got != want {
			t.Errorf("%q is served %s, want %s", name, got, want)
		}
	}
}

func TestTheNewestValidCertificateWins(t *testing.T) { // A3
	t.Parallel()
	old := make1(t, spec{names: []string{"a.test", "old"}, from: -3 * time.Hour})
	fresh := make1(t, spec{names: []string{"a.test", "fresh"}, from: -2 * time.Hour})
	expired := make1(t, spec{names: []string{"a.test", "expired"}, from: -time.Hour, till: -time.Minute})
	future := make1(t, spec{names: []string{"a.test", "future"}, from: time.Minute})
	s := build(t, nil, Source{Certificates: []config.Certificate{
		old.inline(), expired.inline(), fresh.inline(), future.inline(),
	}}, config.ReasonSecretInvalid)
	if got := served(t, s, "a.test"); got != "a.test,fresh" {
		t.Errorf("served %s", got)
	}
	if got := served(t, s, "expired"); got != "self-signed" {
		t.Errorf("an expired certificate is served: %s", got)
	}
	if n := len(s.Expiries()); n != 4 {
		t.Errorf("%d expiries", n)
	}
}

func TestKeysOfEveryKindAndSpellingLoad(t *testing.T) { // A5
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	ec := make1(t, spec{names: []string{"ec.test"}, key: ecKey})
	ec.key = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n\n" +
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})) + "\n\n"
	ec.cert = "\n\n" + ec.cert + "\n-----BEGIN DH PARAMETERS-----\nMAYCAQUCAQI=\n-----END DH PARAMETERS-----\n"
	encoded := named(t, "base64.test")
	s := build(t, nil, Source{Certificates: []config.Certificate{
		make1(t, spec{names: []string{"rsa.test"}, key: rsaKey}).inline(),
		make1(t, spec{names: []string{"ed.test"}, key: edKey}).inline(),
		ec.inline(),
		{
			Cert: base64.StdEncoding.EncodeToString([]byte(encoded.cert)),
			Key:  config.PrivateKey(base64.StdEncoding.EncodeToString([]byte(encoded.key))),
		},
	}})
	for _, name := range []string{"rsa.test", "ed.test", "ec.test", "base64.test"} {
		if got := served(t, s, name); got != name {
			t.Errorf("%s is served %s", name, got)
		}
	}
}

func TestABrokenPairKeepsItsLastGoodVersionAndTouchesNoOther(t *testing.T) { // A5
	t.Parallel()
	dir := t.TempDir()
	a, b := named(t, "a.test"), named(t, "b.test")
	src := Source{Certificates: []config.Certificate{a.write(t, dir, "a.crt", "a.key"), b.write(t, dir, "b.crt", "b.key")}}
	first := build(t, nil, src)
	write(t, src.Certificates[0].Key.Reveal(), b.key)
	second := build(t, first, src, config.ReasonSecretInvalid)
	if got := served(t, second, "a.test") + " " + served(t, second, "b.test"); got != "a.test b.test" {
		t.Errorf("served %s", got)
	}
	write(t, src.Certificates[0].Cert, "garbage")
	third := build(t, second, src, config.ReasonSecretInvalid)
	if got := served(t, third, "a.test"); got != "a.test" {
		t.Errorf("served %s", got)
	}
	renewed := named(t, "a.test", "renewed")
	renewed.write(t, dir, "a.crt", "a.key")
	fourth := build(t, third, src)
	if got := served(t, fourth, "a.test"); got != "a.test,renewed" {
		t.Errorf("served %s", got)
	}
}

func TestAPairThatWasNeverGoodIsAnErrorOfItsRouteOnly(t *testing.T) { // A5, M2
	t.Parallel()
	dir := t.TempDir()
	good := named(t, "good.test")
	broken := config.ObjectRef{Kind: "Route", Name: "broken"}
	s, problems := Build(nil, Source{Routes: []RouteCert{
		{Ref: broken, Cert: config.Certificate{Cert: good.cert, Key: config.PrivateKey(named(t, "x").key)}},
		{Ref: config.ObjectRef{Kind: "Route", Name: "absent"}, Cert: config.Certificate{Cert: dir + "/tls.crt", Key: config.PrivateKey(dir + "/tls.key")}},
		{Ref: config.ObjectRef{Kind: "Route", Name: "good"}, Cert: good.inline()},
	}})
	if len(problems) != 2 || problems[0].Object != broken || problems[0].Severity != config.SeverityError ||
		problems[1].Reason != config.ReasonSecretNotFound || !strings.Contains(problems[1].Message, dir+"/tls.crt") {
		t.Errorf("problems %v", problems)
	}
	if got := served(t, s, "good.test"); got != "good.test" {
		t.Errorf("served %s", got)
	}
}

func TestARemovedCertificateIsNotServedAnyMore(t *testing.T) { // A4
	t.Parallel()
	dir := t.TempDir()
	c := named(t, "a.test").write(t, dir, "a.crt", "a.key")
	first := build(t, nil, Source{Certificates: []config.Certificate{c}})
	if err := os.Remove(c.Cert); err != nil {
		t.Fatal(err)
	}
	if got := served(t, build(t, first, Source{Certificates: []config.Certificate{c}}, config.ReasonSecretNotFound), "a.test"); got != "self-signed" {
		t.Errorf("served %s", got)
	}
	if got := served(t, build(t, first, Source{}), "a.test"); got != "self-signed" {
		t.Errorf("served %s", got)
	}
}

func TestAMountedSecretIsReadAsOneVersion(t *testing.T) { // K3, A4
	t.Parallel()
	dir := t.TempDir()
	version := func(name string, m made) {
		m.write(t, filepath.Join(dir, name), "tls.crt", "tls.key")
		link := filepath.Join(dir, "..data.tmp")
		if err := os.Symlink(name, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", named(t, "one.test"))
	for _, file := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink("..data/"+file, filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	src := Source{Certificates: []config.Certificate{{Cert: dir + "/tls.crt", Key: config.PrivateKey(dir + "/tls.key")}}}
	s := build(t, nil, src)
	version("..2", named(t, "two.test"))
	s = build(t, s, src)
	if got := served(t, s, "one.test") + " " + served(t, s, "two.test"); got != "self-signed two.test" {
		t.Errorf("served %s", got)
	}
	// The key beside the link is another version's: the one of the same folder counts.
	cert, key := sameVersion(dir+"/tls.crt", dir+"/tls.key")
	if filepath.Dir(cert) != filepath.Dir(key) || filepath.Base(filepath.Dir(cert)) != "..2" {
		t.Errorf("read from %s and %s", cert, key)
	}
}

func TestADirectoryIsReadWithItsFolders(t *testing.T) { // A4
	t.Parallel()
	dir := t.TempDir()
	named(t, "flat.test").write(t, dir, "flat.pem", "flat.key")
	named(t, "prefix.test").write(t, dir, "prefix-chain.crt", "prefix.key")
	named(t, "nested.test").write(t, dir+"/secret", "tls.crt", "tls.key")
	named(t, "hidden.test").write(t, dir+"/..2024", "tls.crt", "tls.key")
	write(t, dir+"/ca.crt", named(t, "ca.test").cert)
	s := build(t, nil, Source{CertsDir: dir})
	for name, want := range map[string]string{
		"flat.test": "flat.test", "prefix.test": "prefix.test", "nested.test": "nested.test",
		"hidden.test": "self-signed", "ca.test": "self-signed",
	} {
		if got := served(t, s, name); got != want {
			t.Errorf("%s is served %s", name, got)
		}
	}
	named(t, "later.test").write(t, dir+"/later", "tls.crt", "tls.key")
	if got := served(t, build(t, s, Source{CertsDir: dir}), "later.test"); got != "later.test" {
		t.Errorf("a folder that comes later is not seen: %s", got)
	}
	if got := served(t, build(t, nil, Source{CertsDir: dir + "/absent"}), "flat.test"); got != "self-signed" {
		t.Errorf("without a directory flat.test is served %s", got)
	}
}

func TestTheConfiguredDefaultIsServedWhereNothingFits(t *testing.T) {
	t.Parallel()
	d := named(t, "default.test").inline()
	s := build(t, nil, Source{Default: &d})
	if got := served(t, s, "unknown.test"); got != "default.test" {
		t.Errorf("served %s", got)
	}
	bad := config.Certificate{Cert: d.Cert, Key: config.PrivateKey(named(t, "x").key)}
	s = build(t, nil, Source{Default: &bad}, config.ReasonSecretInvalid)
	if got := served(t, s, "unknown.test"); got != "self-signed" {
		t.Errorf("served %s", got)
	}
}

func TestTheSameSourceGivesTheSameSet(t *testing.T) { // D3, D4
	t.Parallel()
	dir := t.TempDir()
	src := Source{CertsDir: dir, Certificates: []config.Certificate{named(t, "a.test").write(t, dir+"/x", "a.crt", "a.key")}}
	aged := time.Now().Add(-time.Hour)
	for _, f := range []string{src.Certificates[0].Cert, src.Certificates[0].Key.Reveal()} {
		if err := os.Chtimes(f, aged, aged); err != nil {
			t.Fatal(err)
		}
	}
	first := build(t, nil, src)
	if second := build(t, first, src); second != first {
		t.Error("an unchanged source made another set")
	}
	if empty := build(t, nil, Source{}); build(t, empty, Source{}) != empty {
		t.Error("an empty source made another set")
	}
}
