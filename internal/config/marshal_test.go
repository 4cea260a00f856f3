// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestNoSecretIsWritten(t *testing.T) { // C8
	t.Parallel()
	const canary = "canary-7f3a"
	f := &File{
		Gateway: Gateway{
			Redis:  &Redis{Addr: "redis:6379", Password: canary},
			Reload: Reload{Token: canary},
			TLS:    &TLS{Certificates: []Certificate{{Cert: "/etc/goma/certs/a/tls.crt", Key: "-----BEGIN PRIVATE KEY-----\n" + canary}}},
			Providers: Providers{
				HTTP: &HTTPProvider{Headers: map[string]Secret{"Authorization": canary}},
				Git:  &GitProvider{Auth: &GitAuth{Type: "token", Token: canary}},
			},
		},
		CertManager: &CertManager{ACME: &ACME{Credentials: map[string]Secret{"apiToken": canary}}},
	}
	text, err := MarshalFile(f)
	if err != nil {
		t.Fatal(err)
	}
	printed := string(text) + fmt.Sprintf("%v %+v %#v", f.Gateway.Redis, f.Gateway.Redis, f.Gateway.TLS.Certificates)
	if strings.Contains(printed, canary) {
		t.Fatalf("a secret is written:\n%s", printed)
	}
	if !strings.Contains(string(text), "***") {
		t.Fatalf("nothing stands for the secret:\n%s", text)
	}
}

func TestReferencesAndPathsAreWrittenAsTheyAre(t *testing.T) {
	t.Parallel()
	text, err := MarshalFile(&File{Gateway: Gateway{
		Redis:  &Redis{Addr: "redis:6379", Password: "${REDIS_PASSWORD}"},
		TLS:    &TLS{Certificates: []Certificate{{Cert: "/c/tls.crt", Key: "/c/tls.key"}}},
		Routes: []Route{},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `gateway:
  tls:
    certificates:
    - cert: /c/tls.crt
      key: /c/tls.key
  redis:
    addr: redis:6379
    password: ${REDIS_PASSWORD}
  routes: []
`
	if string(text) != want {
		t.Fatalf("got:\n%s\nwant:\n%s", text, want)
	}
}

func TestABundleIsWrittenInTheOrderOfTheDocumentation(t *testing.T) {
	t.Parallel()
	text, err := MarshalBundle(&Bundle{
		Routes:      []*Route{{Name: "a", Path: "/", Target: "http://b"}},
		Middlewares: []*Middleware{{Name: "m", Type: "basic", Rule: []byte(`{"realm":"x: \"y\"\n","users":["a:b"]}`)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "routes:\n- name: a\n  path: /\n  target: http://b\nmiddlewares:\n- name: m\n") {
		t.Fatalf("got:\n%s", text)
	}
}
