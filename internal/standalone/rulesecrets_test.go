// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/translate"
)

const staffLogin = `{type: basicAuth, rule: {users: [{username: ann, passwordFrom: {secretKeyRef: {name: staff, key: ann}}}]}}`

func staffed(secret string) string {
	docs := []string{gatewayOf(gw, "{}"), routeOf("a", "/a", ", middlewares: [login]"), routeOf("b", "/b", ""), resource("Middleware", "login", staffLogin)}
	if secret != "" {
		docs = append(docs, secret)
	}
	return strings.Join(docs, "---\n")
}

// as asks with a name and a password.
func (r *running) as(path, user, password string) int {
	q, err := http.NewRequest(http.MethodGet, "http://"+r.at.Web+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	q.SetBasicAuth(user, password)
	resp, err := r.client.Do(q)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestAPasswordInASecretManifestIsLive(t *testing.T) { // K3, M2, C8
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, staffed(""))
	r := up(t, Options{Paths: []string{path}})
	login := func(password string, want int) {
		t.Helper()
		r.until("the answer to "+password, func() bool { return r.as("/a", "ann", password) == want })
		r.expect("/b", 200)
	}
	login("canary-first", 503)
	r.untilPrinted("error: Middleware default/login: spec.rule.users[0].passwordFrom.secretKeyRef: no manifest holds Secret default/staff")
	write(t, path, staffed(secretOf("staff", map[string]string{"ann": "canary-first"})))
	login("canary-first", 200)
	login("canary-second", 401)
	write(t, path, staffed(secretOf("staff", map[string]string{"ann": "canary-second"})))
	login("canary-second", 200)
	login("canary-first", 401)
	write(t, path, staffed(secretOf("staff", map[string]string{"bob": "canary-second"})))
	login("canary-second", 503)
	r.untilPrinted("Secret default/staff has no ann")
	write(t, path, staffed(secretOf("staff", map[string]string{"ann": "canary-third"})))
	login("canary-third", 200)
	if all := r.out.String() + r.log.String(); strings.Contains(all, "canary") {
		t.Errorf("a password is printed:\n%s", all)
	}
}

func TestCheckLooksIntoTheSecretsOfRules(t *testing.T) { // C5, C8
	t.Parallel()
	for name, c := range map[string]struct{ secret, want string }{
		"all is well": {secretOf("staff", map[string]string{"ann": "x"}), ""},
		"there is no such Secret": {"",
			"a.yaml:19:71: warning: Middleware default/login: spec.rule.users[0].passwordFrom.secretKeyRef: no manifest holds Secret default/staff; add it, or see that it exists in the cluster (SecretNotFound)\n"},
		"it has another key":         {secretOf("staff", map[string]string{"bob": "x"}), "Secret default/staff has no ann"},
		"a hash that nobody can use": {secretOf("staff", map[string]string{"ann": "$6$canary"}), "rule.users[0].password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.yaml")
			write(t, path, staffed(c.secret))
			_, problems, err := Check([]string{path}, nil)
			must(t, err)
			have := lines(problems)
			exact := strings.HasSuffix(c.want, "\n") || c.want == ""
			if exact && have != c.want || !strings.Contains(have, c.want) || strings.Contains(have, "canary") {
				t.Errorf("have\n%s\nwant\n%s", have, c.want)
			}
		})
	}
}

func TestRenderShowsWhereASecretIsAndNotWhatIsOne(t *testing.T) { // C8
	t.Parallel()
	o := load(t, gatewayOf(gw, "{}"), routeOf("a", "/a", ", middlewares: [login, keys, token]"), resource("Middleware", "login", staffLogin),
		resource("Middleware", "keys", `{type: apiKey, rule: {keys: [canary-one, {name: blue, key: canary-two}, {name: green, keyFrom: {secretKeyRef: {name: partners, key: green}}}]}}`),
		resource("Middleware", "token", `{type: jwt, rule: {secretFrom: {secretKeyRef: {name: token, key: shared}}}}`))
	text, err := planOf(t, o, "", translate.Paths{}).Config()
	must(t, err)
	if strings.Contains(string(text), "canary") {
		t.Errorf("a key is shown:\n%s", text)
	}
	for _, want := range []string{"name: staff", "key: ann", "name: partners", "key: green", "name: token", "key: shared", "name: blue"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not shown:\n%s", want, text)
		}
	}
}
