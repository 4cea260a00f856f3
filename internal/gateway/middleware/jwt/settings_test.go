// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// certificateOf is a certificate that nobody has to believe.
func certificateOf(t *testing.T, s signer) string {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}},
		&x509.Certificate{}, s.public, s.private)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der)
}

func TestPublicKeysInManyForms(t *testing.T) { // M17, A5
	t.Parallel()
	s := signers()
	parameters := block("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})
	base64Of := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	wrapped := base64Of(pemOf(s["rsa"].public))
	for name, c := range map[string]struct{ text, signer string }{
		"RSA":                            {pemOf(s["rsa"].public), "rsa"},
		"RSA in PKCS 1":                  {block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(s["rsa"].public.(*rsa.PublicKey))), "rsa"},
		"RSA in a certificate":           {certificateOf(t, s["rsa"]), "rsa"},
		"P-256":                          {pemOf(s["p256"].public), "p256"},
		"P-256 behind EC PARAMETERS":     {parameters + pemOf(s["p256"].public), "p256"},
		"P-384 in a certificate":         {certificateOf(t, s["p384"]), "p384"},
		"P-521":                          {pemOf(s["p521"].public), "p521"},
		"Ed25519":                        {pemOf(s["ed"].public), "ed"},
		"Ed25519 in a certificate":       {certificateOf(t, s["ed"]), "ed"},
		"text around":                    {"issuer:\n\n" + pemOf(s["rsa"].public) + "\n# end\n", "rsa"},
		"base 64":                        {wrapped, "rsa"},
		"base 64 in lines":               {wrapped[:76] + "\n" + wrapped[76:] + "\n", "rsa"},
		"the second of two":              {pemOf(s["rsa2"].public) + pemOf(s["rsa"].public), "rsa"},
		"the second, of another kind":    {pemOf(s["ed"].public) + pemOf(s["p256"].public), "p256"},
		"a certificate behind a comment": {"subject=CN\n" + certificateOf(t, s["p256"]), "p256"},
	} {
		g := guard(t, definition.Build{}, rulemap{"publicKey": c.text})
		maker := s[c.signer]
		if !g.admits(sign(t, maker.algorithms[0], "any", maker.private, nil)) {
			t.Errorf("%s: a good token is refused", name)
		}
	}
}

func TestKeySetsInManyForms(t *testing.T) { // M16, M17
	t.Parallel()
	s := signers()
	with := func(key map[string]any, more map[string]any) map[string]any {
		out := maps.Clone(key)
		maps.Copy(out, more)
		return out
	}
	own := func(more map[string]any) map[string]any { return with(jwkOf("a", s["rsa"].public), more) }
	token := func(kid string) string { return sign(t, "RS256", kid, s["rsa"].private, nil) }
	broken := []map[string]any{
		{"kty": "RSA", "kid": "b", "n": "!!", "e": "AQAB"}, {"kty": "RSA", "kid": "c", "n": b64([]byte("short")), "e": "AQAB"},
		{"kty": "EC", "kid": "d", "crv": "P-256", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))},
		{"kty": "EC", "kid": "e", "crv": "secp256k1", "x": "AA", "y": "AA"}, {"kty": "OKP", "kid": "f", "crv": "X25519", "x": b64(make([]byte, 32))},
		{"kty": "OKP", "kid": "g", "crv": "Ed25519", "x": "AA"}, {"kty": "magic", "kid": "h"}, {"kid": 5}, {"kty": "RSA", "kid": "i", "n": own(nil)["n"], "e": "AA"},
		{"kty": "RSA", "kid": "j", "n": own(nil)["n"], "e": b64(make([]byte, 200))},
	}
	for name, c := range map[string]struct {
		keys []map[string]any
		kid  string
		want bool
	}{
		"its key":                            {[]map[string]any{own(nil)}, "a", true},
		"no name in the token":               {[]map[string]any{own(nil)}, "", false},
		"another name in the token":          {[]map[string]any{own(nil)}, "b", false},
		"among broken ones":                  {append(broken, own(nil)), "a", true},
		"with the octets padded":             {[]map[string]any{own(map[string]any{"e": "AQAB===="})}, "a", true},
		"for its signature alone":            {[]map[string]any{own(map[string]any{"alg": "RS256"})}, "a", true},
		"for another signature":              {[]map[string]any{own(map[string]any{"alg": "RS512"})}, "a", false},
		"for verifying":                      {[]map[string]any{own(map[string]any{"key_ops": []string{"verify"}})}, "a", true},
		"two of one name":                    {[]map[string]any{jwkOf("a", s["rsa2"].public), jwkOf("a", s["p256"].public), own(nil)}, "a", true},
		"another key of its name":            {[]map[string]any{jwkOf("a", s["rsa2"].public)}, "a", false},
		"beside one for encryption":          {[]map[string]any{own(nil), with(jwkOf("b", s["rsa"].public), map[string]any{"use": "enc"})}, "b", false},
		"beside one for another operation":   {[]map[string]any{own(nil), with(jwkOf("b", s["rsa"].public), map[string]any{"key_ops": []string{"encrypt"}})}, "b", false},
		"with the private key, kept to us":   {[]map[string]any{own(map[string]any{"d": "AQAB"})}, "a", true},
		"of a signature that does not exist": {[]map[string]any{own(nil), with(jwkOf("b", s["rsa"].public), map[string]any{"alg": "none"})}, "b", false},
	} {
		for form, text := range map[string]string{"JSON": document(c.keys...), "base 64": base64.StdEncoding.EncodeToString([]byte(document(c.keys...)))} {
			if got := guard(t, definition.Build{}, rulemap{"jwksFile": text}).admits(token(c.kid)); got != c.want {
				t.Errorf("%s in %s: good %v, want %v", name, form, got, c.want)
			}
		}
	}
}

func TestFilesAreReadFromTheirDirectoryOnly(t *testing.T) { // T8
	t.Parallel()
	s := signers()["rsa"]
	dir, elsewhere := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "key.pem"), pemOf(s.public))
	write(filepath.Join(dir, "keys.json"), document(jwkOf("a", s.public)))
	write(filepath.Join(dir, "empty"), "")
	write(filepath.Join(elsewhere, "key.pem"), pemOf(s.public))
	if err := os.Symlink(filepath.Join(elsewhere, "key.pem"), filepath.Join(dir, "link.pem")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, field, file string
		dir               string
		ok                bool
	}{
		{"by its name", "publicKey", "key.pem", dir, true},
		{"by its path", "publicKey", filepath.Join(dir, "key.pem"), dir, true},
		{"a key set", "jwksFile", "keys.json", dir, true},
		{"a file elsewhere", "publicKey", filepath.Join(elsewhere, "key.pem"), dir, false},
		{"a path that climbs", "publicKey", "../" + filepath.Base(elsewhere) + "/key.pem", dir, false},
		{"a link that leads out", "publicKey", "link.pem", dir, false},
		{"a file that is not there", "publicKey", "none.pem", dir, false},
		{"a directory", "publicKey", ".", dir, false},
		{"an empty file", "jwksFile", "empty", dir, false},
		{"a file of another kind", "jwksFile", "key.pem", dir, false},
		{"where there is no directory", "publicKey", filepath.Join(dir, "key.pem"), "", false},
	} {
		raw, err := json.Marshal(rulemap{c.field: c.file})
		if err != nil {
			t.Fatal(err)
		}
		parsed, problems := parse(raw)
		if parsed == nil {
			t.Fatalf("%s: %v", c.name, problems)
		}
		var depends []string
		b := definition.Build{Pool: pool.New(), Track: t.Cleanup, FilesDir: c.dir, DependOn: func(path string) { depends = append(depends, path) }}
		h, err := parsed.Handler(b, nil)
		if (err == nil) != c.ok || (h != nil) != c.ok || err != nil && strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: %v, %v", c.name, h, err)
		}
		if c.ok && len(depends) != 1 {
			t.Errorf("%s: a change of %v makes the handler anew", c.name, depends)
		}
	}
}

func TestARuleIsReadInFull(t *testing.T) { // C5, C6, C8, M2
	t.Parallel()
	s := signers()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(s["rsa"].private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(field, value string) string {
		raw, _ := json.Marshal(map[string]string{field: value}) // two texts always encode
		return string(raw)
	}
	const ok = `"secret":"the hush hush secret"`
	for rule, field := range map[string]string{
		``:                                   "rule.jwksUrl",
		`{}`:                                 "rule.jwksUrl",
		`{"jwksUrl":"id.example.com/keys"}`:  "rule.jwksUrl",
		`{"jwksUrl":"file:///etc/passwd"}`:   "rule.jwksUrl",
		`{"jwksUrl":"https://"}`:             "rule.jwksUrl",
		`{"jwksUrl":"https://${ID_HOST}/a"}`: "rule.jwksUrl",
		`{"jwksUrl":"https://a","rootCAs":"/etc/passwd"}`:                               "rule.rootCAs",
		`{"jwksUrl":"https://a","algorithms":["HS256"]}`:                                "rule.algorithms[0]",
		`{"secret":"${HUSH}"}`:                                                          "rule.secret",
		text("secret", pemOf(s["rsa"].public)):                                          "rule.secret",
		`{"secretFrom":{"secretKeyRef":{"name":"a","key":"b"}}}`:                        "rule.secretFrom",
		`{` + ok + `,"algorithms":["RS256"]}`:                                           "rule.algorithms[0]",
		`{` + ok + `,"algorithms":["HS256","none"]}`:                                    "rule.algorithms[1]",
		`{` + ok + `,"algorithms":["HS128"]}`:                                           "rule.algorithms[0]",
		`{` + ok + `,"algorithms":"HS256"}`:                                             "rule.algorithms",
		`{` + ok + `,"alg":"none"}`:                                                     "rule.alg",
		`{` + ok + `,"algo":"ES256"}`:                                                   "rule.algo",
		`{` + ok + `,"claimsExpression":"Equals("}`:                                     "rule.claimsExpression",
		`{` + ok + `,"clockSkew":"1h"}`:                                                 "rule.clockSkew",
		`{` + ok + `,"clockSkew":-1}`:                                                   "rule.clockSkew",
		`{` + ok + `,"forwardHeaders":{"X A":"sub"}}`:                                   "rule.forwardHeaders",
		`{` + ok + `,"forwardHeaders":{"Content_Length":"sub"}}`:                        "rule.forwardHeaders",
		`{` + ok + `,"forwardHeaders":{"X-A":""}}`:                                      "rule.forwardHeaders.X-A",
		`{` + ok + `,"forwardHeaders":["X-A"]}`:                                         "rule.forwardHeaders",
		`{"jwksFile":"{\"keys\":[]}"}`:                                                  "rule.jwksFile",
		`{"jwksFile":"{"}`:                                                              "rule.jwksFile",
		text("jwksFile", document(map[string]any{"kty": "oct", "kid": "a", "k": "AA"})): "rule.jwksFile",
		text("jwksFile", document(make([]map[string]any, mostKeys+1)...)):               "rule.jwksFile",
		text("publicKey", pemOf(&small.PublicKey)):                                      "rule.publicKey",
		text("publicKey", pemOf(&p224.PublicKey)):                                       "rule.publicKey",
		text("publicKey", block("PRIVATE KEY", private)):                                "rule.publicKey",
		text("publicKey", block("PUBLIC KEY", []byte("x"))):                             "rule.publicKey",
		text("publicKey", block("EC PARAMETERS", []byte("x"))):                          "rule.publicKey",
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed != nil || len(problems) != 1 || problems[0].Field != field || !config.HasErrors(problems) {
			t.Errorf("%.100s: rule %v, %v", rule, parsed, problems)
			continue
		}
		if m := problems[0].Message; strings.Contains(m, "hush") || strings.Contains(m, "BEGIN") || strings.Contains(m, "passwd") {
			t.Errorf("the message repeats a secret: %s", m)
		}
	}
}

func TestAKeyThatNobodyReadsIsAWarning(t *testing.T) { // C6
	t.Parallel()
	problems := errorsOf(`{"secret":"s","audiense":"api"}`)
	if len(problems) != 1 || config.HasErrors(problems) || !strings.Contains(problems[0].Message, "audience") {
		t.Error(problems)
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"secret":"a","claimsExpression":"Equals('a','b')","forwardHeaders":{"X-A":"a"}}`)
	f.Add(`{"jwksFile":"{\"keys\":[{\"kty\":\"EC\",\"kid\":\"a\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}"}`)
	f.Add(`{"publicKey":"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----"}`)
	f.Fuzz(func(t *testing.T, raw string) {
		if parsed, problems := parse(json.RawMessage(raw)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}

func FuzzParseSet(f *testing.F) { // C10, M16
	f.Add(document(jwkOf("a", signers()["rsa"].public), jwkOf("b", signers()["p521"].public), jwkOf("c", signers()["ed"].public)))
	f.Fuzz(func(t *testing.T, text string) {
		set, err := parseSet([]byte(text))
		if err != nil {
			return
		}
		for _, k := range set.keys {
			if k.id == "" || k.material == nil || len(k.algorithms) == 0 {
				t.Fatalf("%+v", k)
			}
		}
	})
}
