// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"os"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

const gw = "gw"

func TestCheckFindsWhatWouldBeRefused(t *testing.T) { // C5
	t.Parallel()
	plain := gatewayOf(gw, "{}")
	for name, c := range map[string]struct {
		docs []string
		want string
	}{
		"nothing is wrong": {[]string{plain, routeOf("a", "/", "")}, ""},
		"a field that does not exist": {[]string{gatewayOf(gw, "{replcas: 1}")},
			"a.yaml:4:8: error: Gateway default/gw: spec.replcas: is not a field of Gateway; did you mean replicas? (UnknownField)\n"},
		"a Middleware that is missing": {[]string{plain, routeOf("a", "/", ", middlewares: [auth]")},
			"a.yaml:9:72: error: Route default/a: spec.middlewares[0]: Middleware default/auth does not exist; create it or take the name out of the list (MiddlewareNotFound)\n"},
		"a Middleware that is missing where no Gateway is known": {[]string{routeOf("a", "/", ", middlewares: [auth]")},
			"a.yaml:4:72: error: Route default/a: spec.middlewares[0]: Middleware default/auth does not exist; create it or take the name out of the list (MiddlewareNotFound)\n"},
		"a Middleware that is refused is not called missing": {
			[]string{plain, resource("Middleware", "auth", "{type: nosuch}"), routeOf("a", "/", ", middlewares: [auth]")}, "Middleware default/auth: spec.type"},
		"two Routes with one match": {[]string{plain, routeOf("a", "/x", ""), routeOf("b", "/x", "")},
			"a.yaml:14:24: error: Route default/b: spec.path: route \"a\" has the same host *, path /x and methods, and is older or listed first, so it serves; change one of them (Conflicted)\n"},
		"a Gateway of another name": {[]string{gatewayOf("gv", "{}"), routeOf("a", "/", "")},
			"a.yaml:9:19: warning: Route default/a: spec.gateways[0]: no manifest holds a Gateway gw in namespace default; the Route is not served by it; did you mean gv? (GatewayNotFound)\n"},
		"a Secret that no manifest holds": {[]string{plain, routeOf("a", "/", ", tls: {secretName: web}")},
			"a.yaml:9:64: warning: Route default/a: spec.tls.secretName: no manifest holds Secret default/web; add it, or see that it exists in the cluster (SecretNotFound)\n"},
		"a Secret without a key": {[]string{plain, routeOf("a", "/", ", tls: {secretName: web}"), secretOf("web", map[string]string{"tls.crt": "x"})},
			"SecretInvalid"},
		"a list of users that is none, in a Middleware that nobody uses": {[]string{resource("Middleware", "m", "{type: basicAuth, rule: {users: [nocolon]}}")},
			"error: Middleware default/m: spec.rule.users"},
		"a source, which nobody asks for a check": {[]string{gatewayOf(gw, "{providers: {http: {enabled: true, endpoint: \"https://c/x\"}}}")}, ""},
		"a source that no gateway could run": {[]string{gatewayOf(gw, "{providers: {git: {enabled: true, url: \"git://c/x\"}}}")},
			"spec.providers.git.url: is not the URL of a repository"},
		"Redis, which nobody connects to for a check": {[]string{gatewayOf(gw, "{server: {redis: {addr: \"r:1\", password: x}}}")}, ""},
		"two Gateways give one finding of a Route": {[]string{plain, gatewayOf("other", "{}"),
			strings.Replace(routeOf("a", "/", ", middlewares: [auth]"), "[gw]", "[gw, other]", 1)}, "Route default/a: spec.middlewares[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems, err := Check([]string{manifests(t, c.docs...)}, nil)
			must(t, err)
			have := lines(problems)
			exact := strings.HasSuffix(c.want, "\n") || c.want == ""
			if exact && have != c.want || !strings.Contains(have, c.want) || strings.Count(have, "\n") > 1 {
				t.Errorf("have\n%s\nwant\n%s", have, c.want)
			}
		})
	}
}

func TestCheckLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // it sets the directory for temporary files
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	path := manifests(t, gatewayOf(gw, "{}"), routeOf("a", "/", ", tls: {secretName: web}"), secretOf("web", pair(t, "web.example.com")))
	_, problems, err := Check([]string{path}, nil)
	must(t, err)
	if len(problems) > 0 {
		t.Error(problems)
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "goma-") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func TestADirectoryWithoutManifestsIsNoSuccess(t *testing.T) {
	t.Parallel()
	if _, _, err := Check([]string{t.TempDir()}, nil); err == nil || !strings.Contains(err.Error(), "no manifests") {
		t.Error(err)
	}
}

func TestNoProblemShowsASecret(t *testing.T) { // C8
	t.Parallel()
	const secret = "hunter2-do-not-show"
	_, problems, err := Check([]string{manifests(t,
		gatewayOf(gw, "{server: {redis: {addr: \"r:1\", password: "+secret+", passwordSecret: {name: x, key: y}}}}"),
		resource("Middleware", "m", "{type: basicAuth, rule: {users: [\""+secret+"\"]}}"),
		resource("Route", "r", "{gateways: [gw], path: /, target: \"http://u:"+secret+"@h:80\"}"),
		"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: "+secret+"}\n",
	)}, nil)
	must(t, err)
	if text := lines(problems); strings.Contains(text, secret) || len(problems) < 3 {
		t.Error(text)
	}
}

func TestTheSummaryCounts(t *testing.T) {
	t.Parallel()
	o := &Objects{Files: 1, Count: 2}
	if have := Summary(o, nil); have != "1 file, 2 objects: ok" {
		t.Error(have)
	}
	problems := []config.Problem{{}, {Severity: config.SeverityWarning}, {Severity: config.SeverityNote}, {Severity: config.SeverityNote}}
	if have := Summary(o, problems); have != "1 file, 2 objects: 1 error, 1 warning, 2 notes" {
		t.Error(have)
	}
}
