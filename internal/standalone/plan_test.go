// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// pair makes a certificate with its key.
func pair(t *testing.T, hosts ...string) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: hosts, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return map[string]string{
		"tls.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"tls.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}
}

func planOf(t *testing.T, o *Objects, name string, paths translate.Paths) *Plan {
	t.Helper()
	g, err := o.Gateway(name)
	must(t, err)
	p, err := NewPlan(o, g, paths)
	must(t, err)
	return p
}

func TestOfSeveralGatewaysOneIsChosen(t *testing.T) {
	t.Parallel()
	two := load(t, gatewayOf("b", "{}"), gatewayOf("a", "{}"))
	spaces := load(t, gatewayOf("a", "{}"), strings.Replace(gatewayOf("a", "{}"), "{name: a}", "{name: a, namespace: x}", 1))
	for name, c := range map[string]struct {
		o          *Objects
		name, want string
	}{
		"by name":                {two, "a", ""},
		"by namespace and name":  {spaces, "x/a", ""},
		"none is named":          {two, "", "the manifests hold 2 Gateways, a, b; choose one with --gateway"},
		"the name is ambiguous":  {spaces, "a", "the manifests hold 2 Gateways, default/a, x/a; choose one with --gateway"},
		"no Gateway has it":      {two, "c", "the manifests hold no Gateway c; there is a, b"},
		"there is no Gateway":    {load(t, routeOf("a", "/", "")), "", "kind: Gateway"},
		"the only one is enough": {load(t, gatewayOf("a", "{}")), "", ""},
	} {
		have, err := c.o.Gateway(c.name)
		switch {
		case c.want == "" && (err != nil || have.Name != "a"):
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVariablesComeFromTheSecretsThatThePodWouldGet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec, secret string
		want         map[string]string
	}{
		"a password in place":         {"{server: {redis: {addr: \"r:1\", password: inline}}}", "", map[string]string{"GOMA_REDIS_PASSWORD": "inline"}},
		"a password in a Secret":      {"{server: {redis: {addr: \"r:1\", passwordSecret: {name: s, key: k}}}}", "k: v", map[string]string{"GOMA_REDIS_PASSWORD": "v"}},
		"a Secret that is missing":    {"{server: {redis: {addr: \"r:1\", passwordSecret: {name: z, key: k}}}}", "k: v", map[string]string{}},
		"credentials of DNS provider": {"{certManager: {acme: {email: a@b.c, challengeType: dns-01, dnsProvider: cloudflare, credentialsSecret: s}}}", "apiToken: t, OTHER: o", map[string]string{"GOMA_CREDENTIALS_API_TOKEN": "t", "OTHER": "o", "apiToken": "t"}},
		"an account of a private CA": {"{certManager: {acme: {email: a@b.c, eab: {keyId: k, hmacKeySecret: {name: s, key: hmac}}, rootCAsFrom: {configMapKeyRef: {name: c, key: ca}}}}}",
			"hmac: h", map[string]string{"GOMA_ACME_EAB_HMAC_KEY": "h", "GOMA_ACME_ROOT_CAS": "pem"}},
		"Git over HTTPS": {"{providers: {git: {enabled: true, url: \"https://g/x\", auth: {type: basic, secretName: s}}}}", "username: u, password: p", map[string]string{"GIT_USERNAME": "u", "GIT_PASSWORD": "p"}},
		"headers of the HTTP source": {"{providers: {http: {enabled: true, endpoint: \"http://c/x\", headersSecret: s, headers: {A: \"${KEY}\", B: \"Bearer ${KEY}\"}}}}",
			"KEY: k", map[string]string{"KEY": "k", "GOMA_HTTP_HEADERS": `{"B":"Bearer ${KEY}"}`}},
	} {
		o := load(t, gatewayOf(gw, c.spec), "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {"+c.secret+"}\n",
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {ca: pem}\n")
		have := planOf(t, o, "", translate.Paths{}).secretEnvironment(o)
		if len(have) != len(c.want) {
			t.Errorf("%s: %d variables, want %d", name, len(have), len(c.want))
		}
		for k, v := range c.want {
			if have[k] != v {
				t.Errorf("%s: %s is %q, want %q", name, k, have[k], v)
			}
		}
	}
}

func TestSecretsBecomePrivateFilesThatFollowThem(t *testing.T) {
	t.Parallel()
	w, err := newWorkspace()
	must(t, err)
	defer func() { must(t, w.remove()) }()
	route := routeOf("a", "/", ", tls: {secretName: web}")
	settle := func(secret ...string) string {
		o := load(t, append([]string{gatewayOf(gw, "{server: {tls: [{secretName: web}]}}"), route}, secret...)...)
		must(t, w.write(o, planOf(t, o, "", w.paths()), nil))
		text, err := os.ReadFile(filepath.Join(w.secrets.dir, "web", "tls.crt"))
		if err != nil {
			return ""
		}
		return string(text)
	}
	one, two := pair(t, "one"), pair(t, "two")
	if have := settle(secretOf("web", one)); have != one["tls.crt"] && have+"\n" != one["tls.crt"] {
		t.Errorf("have %q", have)
	}
	must(t, filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		if info.Mode()&os.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	}))
	text, err := os.ReadFile(w.configFile())
	must(t, err)
	if !strings.Contains(string(text), filepath.Join(w.secrets.dir, "web", "tls.crt")) || strings.Contains(string(text), "/etc/goma") {
		t.Errorf("the configuration leads elsewhere:\n%s", text)
	}
	rotated := settle(secretOf("web", two))
	if strings.TrimSpace(rotated) != strings.TrimSpace(two["tls.crt"]) {
		t.Error("the new certificate is not there")
	}
	if have := settle(secretOf("web", map[string]string{"tls.crt": one["tls.crt"], "tls.key": two["tls.key"]})); have != rotated {
		t.Error("a pair that does not fit replaces the last good one")
	}
	if have := settle(); have != "" {
		t.Error("a Secret that is gone has files")
	}
	entries, err := os.ReadDir(w.secrets.dir)
	must(t, err)
	if len(entries) > 0 {
		t.Errorf("left over: %v", entries)
	}
}

func TestWhatIsRenderedHoldsNoSecret(t *testing.T) { // C8
	t.Parallel()
	const secret = "hunter2-do-not-show"
	docs := []string{
		gatewayOf(gw, "{providers: {kubernetes: {enabled: SIDECAR}}, server: {redis: {addr: \"r:1\", password: "+secret+"}, reload: {enabled: true, token: "+secret+"}}}"),
		resource("Middleware", "m", "{type: basicAuth, rule: {realm: shown, users: [\"ann:"+secret+"\", {username: bob, password: "+secret+"}]}}"),
		resource("Middleware", "h", "{type: requestHeaders, rule: {setHeaders: {Authorization: \"Bearer "+secret+"\", X-Edge: visible}}}"),
		routeOf("a", "/", ", middlewares: [m, h]"),
	}
	for _, sidecar := range []string{"true", "false"} {
		o := load(t, strings.ReplaceAll(strings.Join(docs, "---\n"), "SIDECAR", sidecar))
		p := planOf(t, o, "", translate.Paths{})
		objects, err := p.Objects()
		must(t, err)
		text, err := p.Config()
		must(t, err)
		all := string(objects) + string(text)
		if strings.Contains(all, secret) {
			t.Errorf("sidecar %s: a secret is shown", sidecar)
		}
		for _, want := range []string{"kind: Deployment", "ann:***", "bob", "realm: shown", "X-Edge: visible", "redis-password: '***'", "${GOMA_REDIS_PASSWORD}"} {
			if !strings.Contains(all, want) {
				t.Errorf("sidecar %s: there is no %q", sidecar, want)
			}
		}
		if strings.Contains(all, "ownerReferences") {
			t.Error("there are owner references without a uid")
		}
		if (sidecar == "false") != bytes.Contains(objects, []byte("path: /\n")) {
			t.Errorf("sidecar %s: the ConfigMap holds the routes", sidecar)
		}
		f, problems, err := config.ParseFile("goma.yml", text, config.LoadOptions{Strict: true})
		if err != nil || config.HasErrors(problems) || len(f.Gateway.Routes) != 1 || len(f.Middlewares) != 2 {
			t.Errorf("the gateway would not read it: %v %v", problems, err)
		}
	}
}

func TestRoutesMayUsePublicVariablesOnly(t *testing.T) { // T7
	t.Parallel()
	o := load(t, gatewayOf(gw, "{}"), resource("Middleware", "m", "{type: requestHeaders, rule: {setHeaders: {A: \"${GOMA_PUBLIC_A}\", B: \"${SECRET}\"}}}"),
		routeOf("a", "/", ", middlewares: [m]"))
	p := planOf(t, o, "", translate.Paths{})
	env := func(name string) (string, bool) { return "value", name == "GOMA_PUBLIC_A" }
	b, problems, err := served(p.Bundle, env)
	must(t, err)
	if len(problems) > 0 {
		t.Error(problems)
	}
	if rule := string(b.Middlewares[0].Rule); !strings.Contains(rule, `"value"`) || !strings.Contains(rule, "${SECRET}") {
		t.Error(rule)
	}
	if at := b.Routes[0].Meta.Position; at.Line != 11 {
		t.Errorf("the route is written at %v", at)
	}
}

func TestNamesOfSecretsLeadNowhereElse(t *testing.T) { // T8
	t.Parallel()
	for _, spec := range []string{
		"{server: {tls: [{secretName: ../../x}]}}",
		"{server: {tls: [{secretName: other/x}]}}",
	} {
		l, err := NewLoader([]string{manifests(t, gatewayOf(gw, spec))}, nil)
		must(t, err)
		o, problems, err := l.Load()
		must(t, err)
		if len(o.Gateways) == 0 && config.HasErrors(problems) {
			continue // the schema refuses it already
		}
		p := planOf(t, o, "", translate.Paths{})
		if len(p.files) > 0 {
			t.Errorf("%s gives the files of %v", spec, p.files)
		}
	}
	w, err := newWorkspace()
	must(t, err)
	defer func() { must(t, w.remove()) }()
	o := load(t, gatewayOf(gw, "{}"), routeOf("a", "/", ", tls: {secretName: web}"),
		strings.Replace(secretOf("web", pair(t, "a")), "{name: web}", "{name: web, namespace: other}", 1))
	must(t, w.write(o, planOf(t, o, "", w.paths()), nil))
	if len(w.secrets.current) > 0 {
		t.Error("a Secret of another namespace is used")
	}
}

func TestTheKeyOfTheGitSourceIsWhereTheSecretIs(t *testing.T) {
	t.Parallel()
	w, err := newWorkspace()
	must(t, err)
	defer func() { must(t, w.remove()) }()
	o := load(t, gatewayOf(gw, "{providers: {git: {enabled: true, url: \"git@h:r.git\", auth: {type: ssh, secretName: key}}}}"),
		secretOf("key", map[string]string{"ssh-privatekey": "canary", "known_hosts": "h ssh-ed25519 AAAA"}))
	p := planOf(t, o, "", w.paths())
	must(t, w.write(o, p, nil))
	f, _, err := config.Load(w.configFile(), config.LoadOptions{})
	must(t, err)
	git := f.Gateway.Providers.Git
	if git == nil || git.Auth.KnownHosts != "h ssh-ed25519 AAAA" || !strings.HasPrefix(git.CloneDir, w.dir) {
		t.Fatalf("%+v", git)
	}
	if key, err := os.ReadFile(git.Auth.SSHKeyPath); err != nil || strings.TrimSpace(string(key)) != "canary" {
		t.Errorf("%s, %v", key, err)
	}
}
