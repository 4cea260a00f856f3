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

// odd are pieces of text to which YAML gives a meaning, and which a person may
// well write in a header, a path or a message.
var odd = []string{
	"a", "b", " ", ":", "#", "\n", "\t", "- ", "'", `"`, `\`, "{", "}", "[", "]", "|", ">", "&", "*", "!", "%", "@", "`", "~", "null", "true",
	"0x1", "007", "1e5", "1_0", "2024-01-01", ".inf", "=", "<<", "---", "...", "\r", "\r\n", "\u2028", "\u0085", "\ufeff", "é", "\U0001F600", "\x00", "\x01",
	"\x7f", ",", " #", ": ", "yes", "?", "\n\n", "  \n", "\u00a0", "$1", "%s",
}

// What is written is read as the same text, whatever it is.
func TestNoTextChangesWhenItIsWrittenAndRead(t *testing.T) { // T6, C3
	t.Parallel()
	check := func(s string) {
		text, err := MarshalBundle(&Bundle{
			Routes:      []*Route{{Name: s, Path: "/", Target: "http://b", Hosts: []string{s, "last"}}},
			Middlewares: []*Middleware{{Name: "m", Type: "t", Rule: rule(s)}},
			Metadata:    map[string]string{s: s, "z": "z"},
		})
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		b, problems, err := ParseBundle("b.yml", text, LoadOptions{Strict: true})
		if err != nil || HasErrors(problems) || len(b.Middlewares) != 1 {
			t.Fatalf("%q: %v, %v\n%s", s, err, problems, text)
		}
		if b.Metadata[s] != s || b.Metadata["z"] != "z" || string(b.Middlewares[0].Rule) != string(rule(s)) {
			t.Fatalf("%q became %+v and %s\n%s", s, b.Metadata, b.Middlewares[0].Rule, text)
		}
	}
	for _, a := range odd {
		check(a)
		for _, b := range odd {
			check(a + b)
			check(a + "x" + b)
			check(a + b + "x\ny " + a)
		}
	}
}

func rule(s string) []byte { return []byte(`{"text":` + string(quote(s)) + `,"n":1.50}`) }

func FuzzMarshal(f *testing.F) { // T6
	for _, s := range odd {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		text, err := MarshalBundle(&Bundle{Metadata: map[string]string{"text": s, s: "key"}})
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := ParseBundle("b.yml", text, LoadOptions{})
		if err != nil || s != "text" && b.Metadata["text"] != s || b.Metadata[s] == "" && s != "" {
			t.Fatalf("%q: %v\n%s", s, err, text)
		}
	})
}
