// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// everyCredential is a file in which each credential comes from a variable.
const everyCredential = `
gateway:
  redis: {addr: "r:6379", password: "${V_REDIS}"}
  reload: {enabled: true, token: "x-${V_RELOAD}"}
  tls:
    certificates: [{cert: /c, key: "${V_KEY}"}]
    default: {cert: /c, key: "${V_DIR}/tls.key"}
  providers:
    http:
      enabled: true
      endpoint: https://${V_USER}:${V_PASS}@${V_HOST}/r?token=${V_QUERY}
      headers: {X-Key: "Bearer ${V_HEADER}"}
      tls: {clientCert: /c, clientKey: "${V_CLIENT}"}
    git:
      enabled: true
      url: https://git.example.com/${V_REPOSITORY}
      auth: {type: token, token: "${V_GIT}", username: "${V_GITUSER}", password: "${V_GITPASS}", sshKeyData: "${V_SSH}"}
      webhookSecret: ${V_HOOK}
  dynamicEnv: [%s]
  routes: []
certManager:
  providers:
    a: {type: acme, acme: {email: a@b.c, credentials: {apiToken: "${V_DNS}"}}}
    v: {type: vault, vault: {address: "https://v", token: "${V_VAULT}"}}
`

func TestNoVariableIsACredentialAndReadByOthers(t *testing.T) { // T7
	t.Parallel()
	credentials := map[string]string{
		"V_REDIS": "gateway.redis.password", "V_RELOAD": "gateway.reload.token", "V_KEY": "gateway.tls.certificates[0].key",
		"V_USER": "gateway.providers.http.endpoint", "V_PASS": "gateway.providers.http.endpoint", "V_QUERY": "gateway.providers.http.endpoint",
		"V_HEADER": "gateway.providers.http.headers.X-Key", "V_CLIENT": "gateway.providers.http.tls.clientKey",
		"V_GIT": "gateway.providers.git.auth.token", "V_GITUSER": "gateway.providers.git.auth.username",
		"V_GITPASS": "gateway.providers.git.auth.password", "V_SSH": "gateway.providers.git.auth.sshKeyData",
		"V_HOOK": "gateway.providers.git.webhookSecret", "V_DNS": "certManager.providers.a.acme.credentials.apiToken",
		"V_VAULT": "certManager.providers.v.vault.token", "V_JSON": "gateway.providers.http.headers.X-More",
	}
	values := []string{"GOMA_HTTP_HEADERS", `{"X-More":"k=${V_JSON}"}`, "V_DIR", "/etc/keys", "V_HOST", "c.example.com", "V_REPOSITORY", "t/r", "OTHER", "o"}
	for name := range credentials {
		values = append(values, name, "value")
	}
	check := func(name string, e Expander) (*File, []Problem) {
		f, problems, err := ParseFile("goma.yml", fmt.Appendf(nil, everyCredential, name), LoadOptions{Env: e})
		if err != nil {
			t.Fatal(err)
		}
		problems = append(problems, f.ApplyEnvironment(e)...)
		f.ApplyDefaults()
		return f, append(problems, ValidateFile(f)...)
	}
	concern := func(problems []Problem) *Problem {
		for i, p := range problems {
			if p.Field == "gateway.dynamicEnv[0]" {
				return &problems[i]
			}
		}
		return nil
	}
	for name, field := range credentials {
		// Whether the variable is set does not matter.
		for _, e := range []Expander{env(values...), env("GOMA_HTTP_HEADERS", `{"X-More":"k=${V_JSON}"}`, "V_JSON", "v")} {
			f, problems := check(name, e)
			p := concern(problems)
			if p == nil || p.Severity != SeverityError || !strings.Contains(p.Message, name) || !strings.Contains(p.Message, field) || p.Position.Line != 19 {
				t.Errorf("%s in dynamicEnv: %v", name, p)
			}
			if _, ok := f.credentialVariables()[name]; !ok {
				t.Errorf("%s is not taken for a credential", name)
			}
		}
	}
	for _, name := range []string{"OTHER", "V_DIR", "V_HOST", "V_REPOSITORY"} {
		if _, problems := check(name, env(values...)); concern(problems) != nil {
			t.Errorf("%s: %v", name, concern(problems))
		}
	}
	for _, name := range private {
		if _, problems := check(name, env(values...)); concern(problems) == nil || concern(problems).Severity != SeverityError {
			t.Errorf("%s: %v", name, concern(problems))
		}
	}
}

func TestAPublicVariableThatIsACredentialIsWarnedOfAndReadByNobodyElse(t *testing.T) { // T7
	t.Setenv("GOMA_PUBLIC_TOKEN", "canary")
	t.Setenv("GOMA_PUBLIC_REGION", "eu")
	f, _, err := ParseFile("goma.yml", []byte("gateway:\n  reload:\n    enabled: true\n    token: ${GOMA_PUBLIC_TOKEN}\n  routes: []\n"), LoadOptions{Env: OSEnv})
	if err != nil {
		t.Fatal(err)
	}
	problems := ValidateFile(f)
	if len(problems) != 1 || problems[0].Severity != SeverityWarning || problems[0].Field != "gateway.reload.token" || problems[0].Position.Line != 4 ||
		!strings.Contains(problems[0].Message, "GOMA_PUBLIC_TOKEN") || strings.Contains(problems[0].Message, "canary") {
		t.Error(lines(problems))
	}
	b, _, err := ParseBundle("b.yml", []byte(`{"middlewares":[{"name":"m","type":"t","rule":{"a":"${GOMA_PUBLIC_TOKEN}","b":"${GOMA_PUBLIC_REGION}"}}]}`), LoadOptions{Env: f.DynamicEnv()})
	if err != nil || string(b.Middlewares[0].Rule) != `{"a":"${GOMA_PUBLIC_TOKEN}","b":"eu"}` {
		t.Errorf("%v, %s", err, b.Middlewares[0].Rule)
	}
	// A file that was made, and not loaded, has its references still in it.
	made := &File{Gateway: Gateway{Providers: Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "https://c", Headers: map[string]Secret{"A": "${GOMA_PUBLIC_TOKEN}"}}}}}
	if problems := ValidateFile(made); len(problems) != 1 || problems[0].Field != "gateway.providers.http.headers.A" {
		t.Error(lines(problems))
	}
}

func TestAVariableThatIsNotSetIsWhatIsWrong(t *testing.T) { // C2
	t.Parallel()
	f, problems := load(t, `gateway:
  timeouts:
    read: ${T}
  monitoring: {enableMetrics: "${ON}", visitorTTL: "${SPAN}", host: "${HOST}"}
  networking: {transport: {maxIdleConns: "${MAX}"}}
  analytics: {sample: "${SAMPLE}"}
  dynamicEnv: "${LIST}"
  routes:
    - {name: a, path: /a, target: http://a, priority: "${P}"}
    - {name: b, path: /b, target: http://b, enabled: "${E}"}
    - {name: c, path: /c, target: http://c, healthCheck: {path: /, interval: "${I}"}}
    - {name: d, path: /d, target: http://d}
middlewares:
  - {name: m, type: t, paths: "${PATHS}"}
`, LoadOptions{Env: env()})
	want := `goma.yml:3:11: Gateway: gateway.timeouts.read: wants a whole number, and the variable T is not set; set it, or write the value (Invalid)
goma.yml:4:31: Gateway: gateway.monitoring.enableMetrics: wants true or false, and the variable ON is not set; set it, or write the value (Invalid)
goma.yml:4:52: Gateway: gateway.monitoring.visitorTTL: wants a time such as 30s, and the variable SPAN is not set; set it, or write the value (Invalid)
goma.yml:4:69: Gateway: gateway.monitoring.host: the variable HOST is not set, so the text stays as it is written; set it (Invalid)
goma.yml:5:42: Gateway: gateway.networking.transport.maxIdleConns: wants a whole number, and the variable MAX is not set; set it, or write the value (Invalid)
goma.yml:6:23: Gateway: gateway.analytics.sample: wants a number, and the variable SAMPLE is not set; set it, or write the value (Invalid)
goma.yml:7:15: Gateway: gateway.dynamicEnv: wants a list, and the variable LIST is not set; set it, or write the value (Invalid)
goma.yml:9:55: Route a: priority: wants a whole number, and the variable P is not set; set it, or write the value (Invalid)
goma.yml:10:54: Route b: enabled: wants true or false, and the variable E is not set; set it, or write the value (Invalid)
goma.yml:11:78: Route c: healthCheck.interval: wants a time such as 30s, and the variable I is not set; set it, or write the value (Invalid)
goma.yml:14:31: Middleware m: paths: wants a list, and the variable PATHS is not set; set it, or write the value (Invalid)`
	if got := lines(problems); got != want {
		t.Errorf("problems\n%s\nwant\n%s", got, want)
	}
	if len(f.Gateway.Routes) != 1 || f.Gateway.Routes[0].Name != "d" || len(f.Middlewares) != 0 {
		t.Errorf("what is left is %s", dump(f))
	}
}

func TestAVariableOfAnyTypeIsReadAsItsText(t *testing.T) { // C2, C3
	t.Parallel()
	f, problems := load(t, "gateway:\n  timeouts:\n    read: ${T}\n  monitoring:\n    enableMetrics: ${ON}\n    visitorTTL: ${SPAN}\n  analytics:\n    sample: ${S}\n  routes: []\n", LoadOptions{
		Env: env("T", "5", "ON", "false", "SPAN", "90", "S", "0.5"),
	})
	text, _ := json.Marshal(f.Gateway)
	if len(problems) != 0 || f.Gateway.Timeouts.Read != 5 || f.Gateway.Monitoring.VisitorTTL.Std().Seconds() != 90 || *f.Gateway.Analytics.Sample != 0.5 {
		t.Errorf("%s %s", lines(problems), text)
	}
}
