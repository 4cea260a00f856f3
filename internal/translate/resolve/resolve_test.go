// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
)

func pair(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"x.example.com"},
		NotAfter: time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func TestRouteBelongsToGatewaysOfItsOwnNamespace(t *testing.T) { // T4, T5
	t.Parallel()
	r := &v1alpha1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: "a-b", Name: "r"}}
	r.Spec.Gateways = []string{"c", "other/d"}
	tests := map[types.NamespacedName]bool{
		{Namespace: "a-b", Name: "c"}:       true,
		{Namespace: "a", Name: "b-c"}:       false,
		{Namespace: "other", Name: "c"}:     false,
		{Namespace: "other", Name: "d"}:     false,
		{Namespace: "a-b", Name: "d"}:       false,
		{Namespace: "", Name: "c"}:          false,
		{Namespace: "a-b", Name: ""}:        false,
		{Namespace: "a-b/c", Name: "r"}:     false,
		{Namespace: "other/d", Name: "a-b"}: false,
	}
	for gateway, want := range tests {
		if got := Attached(r, gateway); got != want {
			t.Errorf("%s: %v, want %v", gateway, got, want)
		}
	}
}

func TestReferencesStayInTheNamespaceOfWhoMakesThem(t *testing.T) { // T4
	t.Parallel()
	r := &v1alpha1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "r"}}
	r.Spec.TLS = &v1alpha1.RouteTLS{SecretName: "a", ClientAuth: &v1alpha1.RouteClientAuth{CASecret: "bank/a"}}
	r.Spec.Security = &v1alpha1.RouteSecurity{TLS: &v1alpha1.BackendTLS{RootCAsSecret: "bank/b", ClientCertSecret: "c"}}
	r.Spec.Middlewares = []string{"m", "bank/n"}
	refs, problems := RouteSecrets(r)
	if len(refs) != 2 || len(problems) != 2 || problems[0].Field != "spec.tls.clientAuth.caSecret" || problems[1].Field != "spec.security.tls.rootCAsSecret" {
		t.Fatalf("got %+v and %v", refs, problems)
	}
	for _, ref := range refs {
		if ref.Secret.Namespace != "shop" {
			t.Errorf("%s points at namespace %s", ref.Field, ref.Secret.Namespace)
		}
	}
	uses := RouteMiddlewares(r)
	uses = append(uses, MonitoringMiddlewares(types.NamespacedName{Namespace: "shop", Name: "g"}, []string{"bank/o"})...)
	for i, use := range uses {
		if use.Middleware.Namespace != "shop" {
			t.Errorf("%s points at namespace %s", use.Field, use.Middleware.Namespace)
		}
		p := use.Missing()
		if p.Reason != config.ReasonMiddlewareNotFound || (i > 0) != strings.Contains(p.Message, "name one of this namespace") {
			t.Errorf("%s: %s", use.Field, p)
		}
	}
}

func TestSecretsAreCheckedForWhatTheyAreNeededFor(t *testing.T) { // K3, A5
	t.Parallel()
	cert, key := pair(t)
	_, otherKey := pair(t)
	serving := SecretRef{
		Object: config.ObjectRef{Kind: "Route", Namespace: "shop", Name: "r"}, Field: "spec.tls.secretName",
		Secret: types.NamespacedName{Namespace: "shop", Name: "s"}, Keys: []string{KeyCertificate, KeyPrivateKey},
	}
	authority := serving
	authority.Keys = []string{KeyAuthority}
	tests := []struct {
		name string
		ref  SecretRef
		data map[string][]byte
		want string
	}{
		{"a good pair", serving, map[string][]byte{"tls.crt": cert, "tls.key": key}, ""},
		{"a good pair with more in it", serving, map[string][]byte{"tls.crt": append([]byte("\n\n"), cert...), "tls.key": key, "x": nil}, ""},
		{"no key", serving, map[string][]byte{"tls.crt": cert}, "has no tls.key"},
		{"an empty certificate", serving, map[string][]byte{"tls.crt": {}, "tls.key": key}, "has no tls.crt"},
		{"the key of another certificate", serving, map[string][]byte{"tls.crt": cert, "tls.key": otherKey}, "does not match"},
		{"no PEM", serving, map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("canary-value")}, "does not hold a certificate"},
		{"nothing", serving, nil, "has no tls.crt"},
		{"an authority", authority, map[string][]byte{"ca.crt": cert}, ""},
		{"an authority that is none", authority, map[string][]byte{"ca.crt": key}, "no certificate in ca.crt"},
		{"a pair where an authority is needed", authority, map[string][]byte{"tls.crt": cert, "tls.key": key}, "has no ca.crt"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := test.ref.Check(test.data)
			if (p == nil) != (test.want == "") {
				t.Fatalf("got %v, want %q", p, test.want)
			}
			if p == nil {
				return
			}
			if !strings.Contains(p.Message, test.want) || p.Reason != config.ReasonSecretInvalid || p.Field != "spec.tls.secretName" {
				t.Errorf("got %s, want %q", p, test.want)
			}
			if strings.Contains(p.Message, "canary-value") || strings.Contains(p.Message, "PRIVATE") { // C8
				t.Errorf("the message shows the Secret: %s", p)
			}
		})
	}
}

func TestUsesOfOneSecretAreGathered(t *testing.T) {
	t.Parallel()
	ref := func(route, field, secret string, keys ...string) SecretRef {
		return SecretRef{
			Object: config.ObjectRef{Kind: "Route", Name: route}, Field: field,
			Secret: types.NamespacedName{Namespace: "n", Name: secret}, Keys: keys,
		}
	}
	uses := Uses([]SecretRef{
		ref("b", "f", "two", KeyAuthority), ref("a", "g", "one", KeyCertificate, KeyPrivateKey),
		ref("a", "f", "two", KeyCertificate, KeyPrivateKey), ref("a", "e", "two", KeyAuthority),
	})
	if len(uses) != 2 || uses[0].Secret.Name != "one" || uses[1].Secret.Name != "two" {
		t.Fatalf("got %+v", uses)
	}
	if got := strings.Join(uses[1].Keys, " "); got != "ca.crt tls.crt tls.key" {
		t.Errorf("keys %s", got)
	}
	var who []string
	for _, u := range uses[1].UsedBy {
		who = append(who, u.Object.Name+"."+u.Field)
	}
	if got := strings.Join(who, " "); got != "a.e a.f b.f" {
		t.Errorf("used by %s", got)
	}
}
