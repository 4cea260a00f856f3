// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// env is an environment for tests.
func env(pairs ...string) Expander {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func load(t *testing.T, text string, o LoadOptions) (*File, []Problem) {
	t.Helper()
	f, problems, err := ParseFile("goma.yml", []byte(text), o)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return f, problems
}

// lines gives the problems as they are printed.
func lines(problems []Problem) string {
	var out []string
	for _, p := range problems {
		out = append(out, p.String())
	}
	return strings.Join(out, "\n")
}

func TestAMissingFileIsAnErrorWithItsPathAndNothingIsWritten(t *testing.T) { // C1
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "gmoa.yml")
	if _, _, err := Load(path, LoadOptions{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("the directory holds %v", left)
	}
}

func TestTheSampleLoadsWithoutAProblemAndHoldsNoCredential(t *testing.T) { // C1
	t.Parallel()
	f, problems := load(t, string(Sample()), LoadOptions{Strict: true})
	f.ApplyDefaults()
	_, merged := Merge(f, nil)
	if problems = append(append(problems, ValidateFile(f)...), merged...); len(problems) != 0 {
		t.Error(lines(problems))
	}
	for _, word := range []string{"password", "token", "secret"} {
		if strings.Contains(strings.ToLower(string(Sample())), word) {
			t.Errorf("the sample holds a %s", word)
		}
	}
}

func TestVariablesAreExpandedInScalarsOnly(t *testing.T) { // C2, T6
	t.Parallel()
	nasty := "a: b # \"c\"\n- d: [e"
	f, problems := load(t, `
gateway:
  timeouts:
    read: ${T}
    write: "5"
  redis:
    addr: ${HOST}:6379
    password: ${NASTY}
  monitoring:
    enableMetrics: ${ON}
  routes:
    - name: ${NASTY}
      path: /a$1
      target: http://a
      hosts: ["{HOST}", $2y$10$abc]
    - {name: b, path: "/${UNSET}", target: http://b, priority: "${T}"}
`, LoadOptions{Env: env("T", "30", "HOST", "redis", "NASTY", nasty, "ON", "true")})
	g := f.Gateway
	if g.Timeouts.Read != 30 || g.Redis.Addr != "redis:6379" || g.Redis.Password.Reveal() != nasty || !g.Monitoring.EnableMetrics {
		t.Errorf("settings %+v, %+v", g.Timeouts, g.Redis)
	}
	if len(g.Routes) != 1 || g.Routes[0].Name != nasty || g.Routes[0].Path != "/a$1" || fmt.Sprint(g.Routes[0].Hosts) != "[{HOST} $2y$10$abc]" {
		t.Errorf("routes %+v", g.Routes)
	}
	want := `goma.yml:5:12: Gateway: gateway.timeouts.write: wants a whole number, not text (Invalid)
goma.yml:16:64: Route b: priority: wants a whole number, not text (Invalid)`
	if got := lines(problems); got != want {
		t.Errorf("problems\n%s\nwant\n%s", got, want)
	}
}

func TestAVariableKeepsItsText(t *testing.T) { // C2
	t.Parallel()
	for _, value := range []string{"NULL", "~", "null", "True", "007", "0x1F", "1e5", "+1", "1_0", "yes", ".5", "true", "12", "-1.50", "", " a ", "${P}"} {
		f, problems := load(t, "gateway:\n  reload:\n    token: ${P}\nmiddlewares:\n- name: m\n  type: x\n  rule:\n    a: ${P}\n    b: \"${P}\"\n", LoadOptions{Env: env("P", value)})
		if value != "${P}" && (len(problems) != 0 || f.Gateway.Reload.Token.Reveal() != value) {
			t.Errorf("%q is the token %q, %s", value, f.Gateway.Reload.Token.Reveal(), lines(problems))
		}
		var rule struct {
			A json.RawMessage
			B string
		}
		if err := json.Unmarshal(f.Middlewares[0].Rule, &rule); err != nil {
			t.Fatal(err)
		}
		if got := strings.Trim(string(rule.A), `"`); got != value || rule.B != value {
			t.Errorf("%q is %s and %q in a rule", value, rule.A, rule.B)
		}
	}
	if problems := (&File{}).ApplyEnvironment(nil); len(problems) != 0 {
		t.Error(lines(problems))
	}
}

func TestAnUnsetVariableInACredentialIsNeverUsed(t *testing.T) { // C2, E4
	t.Parallel()
	f, problems := load(t, `
gateway:
  reload: {enabled: true, token: "${TOKEN}"}
  redis: {addr: "r:1", password: "x${TOKEN}"}
  routes:
    - {name: a, path: /, target: http://a, security: {tls: {clientCert: /c, clientKey: "${TOKEN}"}}}
    - {name: b, path: /b, target: http://b}
`, LoadOptions{Env: env()})
	if f.Gateway.Reload.Token != "" || f.Gateway.Redis.Password != "" || len(f.Gateway.Routes) != 1 || f.Gateway.Routes[0].Name != "b" {
		t.Errorf("loaded %+v", f.Gateway)
	}
	if len(problems) != 3 || problems[0].Severity != SeverityWarning || problems[2].Severity != SeverityError || problems[2].Object.Name != "a" {
		t.Error(lines(problems))
	}
	for _, p := range problems {
		if !strings.Contains(p.Message, "TOKEN") || p.Reason != ReasonSecretNotFound {
			t.Errorf("%v", p)
		}
	}
}

func TestSourcesOfOthersSeeOnlyTheVariablesTheyMay(t *testing.T) { // T7
	t.Setenv("GOMA_REDIS_PASSWORD", "s3cret")
	t.Setenv("GIT_TOKEN", "s3cret")
	t.Setenv("HOME_PAGE", "home")
	t.Setenv("GOMA_PUBLIC_REGION", "eu")
	o := LoadOptions{Env: DynamicEnv([]string{"HOME_PAGE", "GOMA_REDIS_PASSWORD"}), Source: "file"}
	b, problems, err := ParseBundle("b.yml", []byte(`
middlewares:
  - name: m
    type: requestHeaders
    rule: {setHeaders: {A: "${GOMA_REDIS_PASSWORD}", B: "${GIT_TOKEN}", C: "${HOME_PAGE}", D: "${GOMA_PUBLIC_REGION}"}}
`), o)
	if err != nil || len(problems) != 0 {
		t.Fatal(err, lines(problems))
	}
	if got, want := string(b.Middlewares[0].Rule), `{"setHeaders":{"A":"${GOMA_REDIS_PASSWORD}","B":"${GIT_TOKEN}","C":"home","D":"eu"}}`; got != want {
		t.Errorf("rule %s", got)
	}
}

func TestABundleCannotChangeSettings(t *testing.T) { // T8
	t.Parallel()
	b, problems, err := ParseBundle("b.yml", []byte("gateway: {entryPoints: {web: {address: ':1'}}}\nroutes: [{name: a, path: /, target: http://a}]\n"), LoadOptions{Source: "http"})
	if err != nil || len(b.Routes) != 1 || len(problems) != 1 || problems[0].Reason != ReasonUnknownField || !strings.Contains(problems[0].Message, "main file") {
		t.Errorf("%v %v", err, lines(problems))
	}
}

func TestOneBadObjectHurtsOnlyItself(t *testing.T) { // C4, C10
	t.Parallel()
	f, problems := load(t, `
gateway:
  routes:
    - {name: a, path: /a, target: http://a}
    - {name: bad-type, path: [/b], target: http://b}
    - just text
    - {name: bad-duration, path: /c, target: http://c, healthCheck: {path: /, interval: soon}}
    - null
    - {name: z, path: /z, target: http://z}
middlewares:
  - {name: m, type: addPrefix, rule: {prefix: /v1}}
  - {name: n, type: 5, paths: x}
`, LoadOptions{Source: "static"})
	var names []string
	for _, r := range f.Gateway.Routes {
		names = append(names, fmt.Sprintf("%s %s", r.Meta.Ref, r.Meta.Position))
	}
	if got := strings.Join(names, ", "); got != "Route a goma.yml:4:7, Route z goma.yml:9:7" {
		t.Errorf("routes %s", got)
	}
	if len(f.Middlewares) != 1 {
		t.Errorf("middlewares %v", f.Middlewares)
	}
	want := `goma.yml:5:30: Route bad-type: path: wants text, not a list (Invalid)
goma.yml:6:7: Route: gateway.routes[2]: wants an object, not text (Invalid)
goma.yml:7:89: Route bad-duration: healthCheck.interval: "soon" is not a duration; write it like 30s or 1m30s (Invalid)
goma.yml:8:7: Route: gateway.routes[4]: wants an object, not nothing (Invalid)
goma.yml:12:31: Middleware n: paths: wants a list, not text (Invalid)`
	if got := lines(problems); got != want {
		t.Errorf("problems\n%s\nwant\n%s", got, want)
	}
}

func TestAnUnknownKeyNamesItsPlaceAndTheNearestOne(t *testing.T) { // C6, Z4
	t.Parallel()
	const text = `
gateway:
  timeout: {read: 5}
  routes:
    - name: a
      pathh: /a
      path: /a
      target: http://a
      zzzzzz: 1
plugins: {path: /x}
`
	f, problems := load(t, text, LoadOptions{})
	want := `goma.yml:3:3: Gateway: gateway.timeout: is not a known key and has no effect; did you mean timeouts? (UnknownField)
goma.yml:6:7: Route a: pathh: is not a known key and has no effect; did you mean path? (UnknownField)
goma.yml:9:7: Route a: zzzzzz: is not a known key and has no effect (UnknownField)
goma.yml:10:1: Gateway: plugins: plugins cannot be loaded; write a middleware that calls a service, such as forwardAuth (UnknownField)`
	if got := lines(problems); got != want {
		t.Errorf("problems\n%s\nwant\n%s", got, want)
	}
	if HasErrors(problems) || len(f.Gateway.Routes) != 1 {
		t.Error("an unknown key is an error without --strict")
	}
	if _, strict := load(t, text, LoadOptions{Strict: true}); !HasErrors(strict) {
		t.Error("an unknown key passes with --strict")
	}
}

func TestFormerSpellingsAreReadAsThePresentOnes(t *testing.T) { // C7
	t.Parallel()
	f, problems := load(t, `
certificateManager: {acme: {email: a@b.c}}
gateway:
  readTimeout: 1
  writeTimeout: 2
  idleTimeout: 3
  enableMetrics: true
  enableStrictSlash: false
  tls: {keys: [{cert: /a, key: /b}]}
  cors: {origins: ["*"]}
  routes:
    - name: a
      path: /
      destination: http://a:80/
      disabled: true
      blockCommonExploits: true
      disableHostForwarding: true
      insecureSkipVerify: true
      methods: [get, Post]
      maintenance: {enabled: true, status: 502, body: back soon}
    - {name: b, path: /b, target: http://b/base/, cors: {origins: [x]}, security: {tls: {SkipVerification: true}}}
`, LoadOptions{})
	if HasErrors(problems) || len(problems) != 16 {
		t.Errorf("%d problems\n%s", len(problems), lines(problems))
	}
	for _, p := range problems {
		if p.Severity != SeverityNote || p.Position.Line == 0 {
			t.Errorf("%v is not a note with a place", p)
		}
	}
	f.ApplyDefaults()
	g, a, b := f.Gateway, f.Gateway.Routes[0], f.Gateway.Routes[1]
	for what, ok := range map[string]bool{
		"timeouts":   g.Timeouts == Timeouts{1, 2, 3},
		"monitoring": g.Monitoring.EnableMetrics && !*g.StrictSlash,
		"tls":        g.TLS.Certificates[0].Cert == "/a",
		"acme":       f.CertManager.ACME.Email == "a@b.c" && *f.CertManager.ACME.TermsAccepted,
		"a":          a.Target == "http://a:80" && !*a.Enabled && fmt.Sprint(a.Methods) == "[GET POST]",
		"a.security": a.Security.EnableExploitProtection && !*a.Security.ForwardHostHeaders && a.Security.TLS.InsecureSkipVerify,
		"a.mainten.": a.Maintenance.StatusCode == 502 && a.Maintenance.Message == "back soon",
		"a.cors":     string(a.CORS) == `{"origins":["*"]}`,
		"b":          string(b.CORS) == `{"origins":["x"]}` && b.Security.TLS.InsecureSkipVerify && b.Target == "http://b/base",
	} {
		if !ok {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

func TestADocumentThatCannotBeReadSaysWhere(t *testing.T) { // C9
	t.Parallel()
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	for name, c := range map[string]struct{ text, want string }{
		"a key twice":         {"gateway: {}\nmiddlewares: []\ngateway: {}\n", `goma.yml:3:1: File goma.yml: the key "gateway" is given twice; first in line 1`},
		"a key twice in JSON": {"{\"gateway\": {},\n \"gateway\": {}}", `the key "gateway" is given twice; first in line 1`},
		"a bad indent":        {"gateway:\n  routes:\n - name: a\n", "goma.yml:2: File goma.yml: did not find expected key"},
		"JSON cut short":      {`{"gateway": {`, "ends in the middle"},
		"too deep":            {"gateway: " + deep, "nested more than 64 levels"},
		"far too deep":        {"gateway: " + strings.Repeat("[", 1<<20), "exceeded max depth"},
		"dashes without end":  {strings.Repeat("- ", 1<<18) + "a", "exceeded max depth"},
		"an alias bomb":       {bomb.String(), "aliases followed"},
		"an alias of itself":  {"a: &a [*a]\n", "holds itself"},
		"an unknown alias":    {"a: *b\n", "unknown anchor 'b'"},
		"two documents":       {"gateway: {}\n---\ngateway: {}\n", "a second document"},
		"too large":           {strings.Repeat("#", maxDocumentBytes+1), "more than 32 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems, err := ParseFile("goma.yml", []byte(c.text), LoadOptions{})
			if err == nil || len(problems) != 1 || !strings.Contains(problems[0].String(), c.want) {
				t.Errorf("%v, %s", err, lines(problems))
			}
		})
	}
}

func TestAliasesAndMergeKeysWork(t *testing.T) {
	t.Parallel()
	f, problems := load(t, `
gateway:
  routes:
    - &base {name: a, path: /a, target: http://a, methods: [GET]}
    - {<<: *base, name: b, path: /b}
    - {<<: [{priority: 3}, *base], name: c, path: "/c"}
`, LoadOptions{})
	if len(problems) != 0 || len(f.Gateway.Routes) != 3 {
		t.Fatal(lines(problems))
	}
	b, c := f.Gateway.Routes[1], f.Gateway.Routes[2]
	if b.Name != "b" || b.Path != "/b" || b.Target != "http://a" || c.Priority != 3 || c.Methods[0] != "GET" {
		t.Errorf("%+v %+v", b, c)
	}
}

const everything = `
version: 2
gateway:
  timeouts: {read: 0, write: 30}
  strictSlash: false
  monitoring: {enableReadiness: false, visitorTTL: 45s}
  networking: {transport: {maxIdleConns: 0, forceAttemptHTTP2: false}, dnsCache: {ttl: 0}}
  routes:
    - name: "1"
      path: /a
      enabled: false
      priority: -1
      methods: [GET]
      backends:
        - {endpoint: "http://a:1", weight: 0}
        - {endpoint: "http://b:1", weight: 2, match: [{source: header, name: X, operator: equals, value: "1"}]}
      healthCheck: {path: /h, interval: 1m30s, healthyStatuses: [200, 204]}
      security: {forwardHostHeaders: false}
      maintenance: {enabled: true, statusCode: 503, message: "a: b # c"}
      cors: {enabled: true, origins: ["*"]}
middlewares:
  - {name: m, type: basicAuth, paths: [/x], rule: {users: ["a:b", {username: c, password: "1"}], n: 1.5, on: true, none: null}}
certManager: {acme: {email: a@b.c, termsAccepted: false}}
`

func TestYAMLAndJSONAreTheSameDocument(t *testing.T) { // C3
	t.Parallel()
	first, problems := load(t, everything, LoadOptions{})
	if len(problems) != 0 {
		t.Fatal(lines(problems))
	}
	asJSON, err := yaml.YAMLToJSON([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	second, problems := load(t, string(asJSON), LoadOptions{})
	if len(problems) != 0 {
		t.Fatal(lines(problems))
	}
	written, err := MarshalFile(first)
	if err != nil {
		t.Fatal(err)
	}
	third, problems := load(t, string(written), LoadOptions{Strict: true})
	if len(problems) != 0 {
		t.Fatal(lines(problems))
	}
	for _, f := range []*File{first, second, third} {
		forget(f)
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("YAML gives\n%s\nJSON gives\n%s", dump(first), dump(second))
	}
	if !reflect.DeepEqual(first, third) {
		t.Errorf("read\n%s\nread again\n%s", dump(first), dump(third))
	}
	if r := first.Gateway.Routes[0]; r.Name != "1" || *r.Enabled || *first.CertManager.ACME.TermsAccepted || *first.Gateway.Networking.DNSCache.TTL != 0 {
		t.Errorf("an explicit false or 0 is lost: %s", dump(first))
	}
}

// forget drops what is of the document and not of its content.
func forget(f *File) {
	f.name, f.places, f.Version = "", "", fmt.Sprint(f.Version)
	for i := range f.Gateway.Routes {
		f.Gateway.Routes[i].Meta = Meta{}
	}
	for i := range f.Middlewares {
		f.Middlewares[i].Meta = Meta{}
	}
}

func dump(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}

func TestFunctionsGiveTheSameValueWhenTheFileIsReadAgain(t *testing.T) { // D4
	t.Parallel()
	const text = "gateway:\n  reload: {enabled: true, token: {{randomHex(16)}}}\n  analytics: {gatewayId: \"{{ uuid() }}\"}\n  routes: [{name: '{{nope()}}', path: /, target: http://a}]\n"
	read := func(file string) *File {
		f, problems, err := ParseFile(file, []byte(text), LoadOptions{})
		if err != nil || len(problems) != 0 {
			t.Fatal(err, lines(problems))
		}
		return f
	}
	a, again, other := read("a.yml"), read("a.yml"), read("b.yml")
	if token := a.Gateway.Reload.Token.Reveal(); len(token) != 16 || token != again.Gateway.Reload.Token.Reveal() || token == other.Gateway.Reload.Token.Reveal() {
		t.Errorf("tokens %q, %q, %q", token, again.Gateway.Reload.Token.Reveal(), other.Gateway.Reload.Token.Reveal())
	}
	if id := a.Gateway.Analytics.GatewayID; len(id) != 36 || id[14] != '4' {
		t.Errorf("uuid %s", id)
	}
	if a.Gateway.Routes[0].Name != "{{nope()}}" {
		t.Errorf("an unknown function became %s", a.Gateway.Routes[0].Name)
	}
	if b, _, err := ParseBundle("c.yml", []byte("routes: [{name: '{{uuid()}}', path: /, target: http://a}]"), LoadOptions{Source: "git"}); err != nil || b.Routes[0].Name != "{{uuid()}}" {
		t.Error("a function was called for a source of others")
	}
}

func TestNoProblemShowsASecret(t *testing.T) { // C8
	t.Parallel()
	f, problems, err := ParseFile("goma.yml", []byte(`
gateway:
  redis: {addr: 1, password: [c4nary]}
  reload: {token: {a: c4nary}}
  tls: {certificates: [{cert: /a, key: [c4nary]}]}
middlewares:
  - {name: m, type: [c4nary-is-no-type], rule: {users: ["a:c4nary"]}}
`), LoadOptions{Env: env()})
	if err != nil {
		t.Fatal(err)
	}
	f.ApplyDefaults()
	if text := lines(append(problems, ValidateFile(f)...)); strings.Contains(text, "c4nary") {
		t.Error(text)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		s := struct {
			A Secret
			B PrivateKey
		}{"c4nary", "c4nary"}
		if text := fmt.Sprintf(verb, s); strings.Contains(text, "c4nary") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func FuzzParseFile(f *testing.F) { // C9, C10
	for _, s := range []string{everything, "a: &a [*a]", "{", "{\"a\":", "? a\n: b", "- - -", "<<: {}", "!!str 1", "a: |\n  b", "\xef\xbb\xbf{}", "gateway: {routes: [null]}", "{{uuid()}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, problems, err := ParseFile("goma.yml", []byte(text), LoadOptions{Env: env("A", "${A}"), Source: "static"})
		if err != nil {
			if len(problems) == 0 {
				t.Fatal("an error without a problem")
			}
			return
		}
		file.ApplyDefaults()
		problems = append(problems, ValidateFile(file)...)
		_, merged := Merge(file, nil)
		for _, p := range append(problems, merged...) {
			if p.Position.File != "goma.yml" || p.Position.Line > 1+strings.Count(text, "\n") || p.Position.Column < 0 || p.Message == "" {
				t.Fatalf("%+v", p)
			}
		}
		if len(problems) > 6*(maxProblems+1) {
			t.Fatalf("%d problems", len(problems))
		}
		if _, err := MarshalFile(file); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseBundle(f *testing.F) { // C9, C10, T8
	for _, s := range []string{`{"routes":[{"name":"a","path":"/"}]}`, "routes: [null, 1, {name: a}]", "gateway: {}", "middlewares: [{name: m, rule: [[1]]}]", "{\"routes\":\n["} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, problems, err := ParseBundle("b", []byte(text), LoadOptions{Env: env("A", "a"), Source: "git"})
		if err != nil {
			if len(problems) == 0 {
				t.Fatal("an error without a problem")
			}
			return
		}
		_, merged := Merge(&File{}, []Layer{{SourceGit, b}})
		if list := Bound(append(problems, merged...)); len(list) > 3*maxProblems+1 {
			t.Fatalf("%d problems", len(list))
		}
		// What was read is read again, from JSON, as the same.
		asJSON, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		next, problems, err := ParseBundle("b", asJSON, LoadOptions{Source: "git"})
		if err != nil || len(next.Routes) != len(b.Routes) || len(next.Middlewares) != len(b.Middlewares) {
			t.Fatalf("%v, %s\n%s", err, lines(problems), asJSON)
		}
	})
}

func TestEveryExampleLoadsStrictly(t *testing.T) { // Z2
	t.Parallel()
	files, err := filepath.Glob("../../examples/goma/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, path := range files {
		f, problems, err := Load(path, LoadOptions{Strict: true, Env: env("ADMIN_PASSWORD_HASH", "x", "API_KEY", "x", "WEBHOOK_SECRET", "a secret of some length")})
		if err != nil {
			t.Fatal(err)
		}
		f.ApplyDefaults()
		_, merged := Merge(f, nil)
		if all := append(append(problems, ValidateFile(f)...), merged...); len(all) > 0 {
			t.Errorf("%s", lines(all))
		}
	}
}
