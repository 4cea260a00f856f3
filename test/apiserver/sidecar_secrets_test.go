// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// configRoute keeps the import of config to one place of these tests.
type configRoute = config.Route

// newPair is a new certificate with its private key, in PEM.
func newPair(t *testing.T) map[string][]byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"x.example.com"},
		NotAfter: time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}
}

func tlsSecret(name string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

// holds tells what is wrong with the files of a Secret.
func (c *sidecar) holds(secret string, want map[string][]byte) error {
	for _, key := range []string{"tls.crt", "tls.key"} {
		if c.file(secret, key) != string(want[key]) {
			return fmt.Errorf("%s of %s is not the one wanted", key, secret)
		}
	}
	return nil
}

func (c *sidecar) waitFiles(secret string, want map[string][]byte) {
	c.scene.Helper()
	c.scene.until("files of "+secret, func() error { return c.holds(secret, want) })
}

func TestSidecarFollowsSecretsThroughTheirLife(t *testing.T) { // K3, C8
	t.Parallel()
	s := newSidecarScene(t)
	c := s.start(s.sidecarDirs())
	first, second, third := newPair(t), newPair(t), newPair(t)

	a := s.route("a", "http://a")
	a.Spec.TLS = &v1alpha1.RouteTLS{SecretName: "late"}
	s.create(a)
	c.wait(map[string]string{"a": "http://a"})
	s.create(tlsSecret("late", first)) // created after its Route
	c.waitFiles("late", first)
	before := c.view().Generation

	edit(s, tlsSecret("late", nil), func(x *corev1.Secret) { x.Data = second }) // rotated
	c.waitFiles("late", second)
	edit(s, tlsSecret("late", nil), func(x *corev1.Secret) { // broken, then repaired
		x.Data = map[string][]byte{"tls.crt": first["tls.crt"], "tls.key": second["tls.key"]}
	})
	edit(s, tlsSecret("late", nil), func(x *corev1.Secret) { x.Data = third })
	c.waitFiles("late", third)
	s.remove(tlsSecret("late", nil))
	c.waitFiles("late", nil)
	s.create(tlsSecret("late", first))
	c.waitFiles("late", first)
	if g := c.view().Generation; g != before {
		t.Errorf("generation %d, want it to stay %d: a Secret is no part of the bundle", g, before)
	}

	b := s.route("b", "https://b") // also for backends
	b.Spec.Security = &v1alpha1.RouteSecurity{TLS: &v1alpha1.BackendTLS{RootCAsSecret: "ca", ClientCertSecret: "client"}}
	s.create(tlsSecret("ca", map[string][]byte{"ca.crt": first["tls.crt"], "other": []byte("x")}))
	s.create(tlsSecret("client", second))
	s.create(b)
	c.wait(map[string]string{"a": "http://a", "b": "https://b"})
	c.waitFiles("client", second)
	if c.file("ca", "ca.crt") != string(first["tls.crt"]) || c.file("ca", "other") != "" {
		t.Error("want the authority and nothing else")
	}
	if r := c.view().Bundle.Routes; r[1].Security.TLS.RootCAs != c.certs+"/ca/ca.crt" {
		t.Errorf("the route reads %s", r[1].Security.TLS.RootCAs)
	}

	edit(s, a, func(r *v1alpha1.Route) { r.Spec.TLS = nil }) // no longer needed
	s.until("the route without a certificate", func() error {
		if c.view().Bundle.Routes[0].TLS != nil {
			return fmt.Errorf("still with a certificate")
		}
		return nil
	})
	if err := c.holds("late", first); err != nil {
		t.Errorf("the gateway has not moved on: %v", err)
	}
	if err := wire.WriteAnswer(c.out, wire.Answer{Generation: c.view().Generation}); err != nil {
		t.Fatal(err)
	}
	c.waitFiles("late", nil)
	for _, pair := range []map[string][]byte{first, second, third} {
		if strings.Contains(c.log.String(), string(pair["tls.key"][40:80])) {
			t.Error("the log shows a private key")
		}
	}
}

func TestSidecarReadsSecretsOfItsOwnNamespaceOnly(t *testing.T) { // T4, K6
	t.Parallel()
	s, other := newSidecarScene(t), newSidecarScene(t)
	other.create(tlsSecret("theirs", newPair(t)))
	c := s.start(s.sidecarDirs())
	a := s.route("a", "http://a")
	a.Spec.TLS = &v1alpha1.RouteTLS{SecretName: "theirs"}
	s.create(a)
	stranger := other.route("stranger", "http://x")
	stranger.Spec.TLS = &v1alpha1.RouteTLS{SecretName: "theirs"}
	other.create(stranger)
	c.wait(map[string]string{"a": "http://a"})
	if c.file("theirs", "tls.key") != "" {
		t.Error("the key of another namespace was written")
	}
}

// TestSidecarDoesWithNamedRights runs with the rights that an operator grants:
// objects of the namespace, its own Gateway, and Secrets by name, which come
// after the Route that names them.
func TestSidecarDoesWithNamedRights(t *testing.T) { // O6, K3
	t.Parallel()
	s := newSidecarScene(t)
	o := s.sidecarDirs()
	o.Config = s.as()
	c := s.start(o)
	s.until("the sidecar has been refused", func() error {
		if !strings.Contains(c.log.String(), "forbidden") {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if c.view() != nil {
		t.Fatal("a bundle without the right to read it")
	}
	s.grantBasics()
	c.wait(map[string]string{})

	pair := newPair(t)
	s.create(tlsSecret("mine", pair))
	s.create(tlsSecret("foreign", newPair(t)))
	a := s.route("a", "http://a")
	a.Spec.TLS = &v1alpha1.RouteTLS{SecretName: "mine"}
	s.create(a)
	s.create(s.route("b", "http://b"))
	// The right does not come: the Route is delivered all the same, in the end.
	c.wait(map[string]string{"a": "http://a", "b": "http://b"})
	if c.file("mine", "tls.key") != "" {
		t.Fatal("a key without the right to read it")
	}
	s.grant("secrets", "", []string{"secrets"}, []string{"mine"}, readVerbs)
	c.waitFiles("mine", pair)
	rotated := newPair(t)
	edit(s, tlsSecret("mine", nil), func(x *corev1.Secret) { x.Data = rotated })
	c.waitFiles("mine", rotated)
}

// With the rights that an operator grants: the right to read the Secret of a
// Middleware comes after the Middleware.
func TestSidecarFollowsTheSecretsOfMiddlewares(t *testing.T) { // K3, O6, T4, C8
	t.Parallel()
	s := newSidecarScene(t)
	s.grantBasics()
	o := s.sidecarDirs()
	o.Config = s.as()
	c := s.start(o)
	login := s.middleware("login", `{"users":[{"username":"ann","passwordFrom":{"secretKeyRef":{"name":"people","key":"ann"}}}]}`)
	login.Spec.Type = "basicAuth"
	s.create(login)
	a := s.route("a", "http://a")
	a.Spec.Middlewares = []string{"login"}
	s.create(a)
	s.create(tlsSecret("people", map[string][]byte{"ann": []byte("canary-first"), "bob": []byte("canary-bob")}))
	c.wait(map[string]string{"a": "http://a"})
	if c.file("people", "ann") != "" {
		t.Fatal("a value without the right to read it")
	}
	s.grant("secrets", "", []string{"secrets"}, []string{"people"}, readVerbs)
	holds := func(key, want string) {
		t.Helper()
		s.until("the value of "+key, func() error {
			if have := c.file("people", key); have != want {
				return fmt.Errorf("it is %q, not %q", have, want)
			}
			return nil
		})
	}
	holds("ann", "canary-first")
	generation := c.view().Generation
	edit(s, tlsSecret("people", nil), func(x *corev1.Secret) { x.Data["ann"] = []byte("canary-second") })
	holds("ann", "canary-second")
	edit(s, tlsSecret("people", nil), func(x *corev1.Secret) { delete(x.Data, "ann") })
	holds("ann", "")
	edit(s, tlsSecret("people", nil), func(x *corev1.Secret) { x.Data["ann"] = []byte("canary-third") })
	holds("ann", "canary-third")
	s.remove(tlsSecret("people", nil))
	holds("ann", "")
	if g := c.view().Generation; g != generation {
		t.Errorf("generation %d, want it to stay %d: a Secret is no part of the bundle", g, generation)
	}
	if c.file("people", "bob") != "" {
		t.Error("a key that nobody names is written")
	}
	for _, m := range c.view().Bundle.Middlewares {
		if strings.Contains(string(m.Rule), "canary") {
			t.Errorf("the bundle holds %s", m.Rule)
		}
	}
	if strings.Contains(c.log.String(), "canary") {
		t.Error("the log shows a value")
	}
}
