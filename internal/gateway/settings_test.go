// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// variables is an environment for tests.
func variables(pairs map[string]string) config.Expander {
	return func(name string) (string, bool) { v, ok := pairs[name]; return v, ok }
}

func TestASettingWhoseVariableIsNotSetStopsTheStartAndNoReload(t *testing.T) { // C2, C10
	t.Parallel()
	backend, path := echo(t, "b"), filepath.Join(t.TempDir(), "goma.yml")
	env := variables(map[string]string{"IDLE": "30"})
	bad := mainFile("  timeouts:\n    idle: ${IDLE}\n    read: ${READ}\n", routeYAML("a", "/a", backend))
	write(t, path, bad)
	err := Run(context.Background(), Options{ConfigFile: path, Env: env, LogWriter: io.Discard, Web: "127.0.0.1:0", WebSecure: None, Admin: None})
	for _, want := range []string{path + ":5:11", "gateway.timeouts.read", "the variable READ is not set"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	good := strings.Replace(bad, "    read: ${READ}\n", "", 1)
	write(t, path, good)
	r := start(t, Options{ConfigFile: path, Env: env}).waitReady()
	r.untilRoutes("a")
	write(t, path, bad+indent(routeYAML("b", "/b", backend)))
	r.until("a problem of the setting", func(a Applied) bool {
		for _, p := range a.Problems {
			if p.Field == "gateway.timeouts.read" && p.Position.Line == 5 {
				return true
			}
		}
		return false
	})
	r.expect("/a", 200, "b /a")
	r.expect("/b", 404, "")
	// In a route it is that route's own.
	write(t, path, good+indent(routeYAML("b", "/b", backend)+routeYAML("c", "/c", backend, ", priority: \"${READ}\"")))
	a := r.untilRoutes("a", "b")
	if p := object(a.Problems, "c"); p == nil || p.Field != "priority" || !strings.Contains(p.Message, "READ") {
		t.Errorf("problems %v", a.Problems)
	}
}

func TestACredentialOfTheGatewayIsReadableForNoOtherSource(t *testing.T) { // T7
	t.Setenv("GOMA_PUBLIC_NAME", "canary-public")
	t.Setenv("SHARED", "canary-shared")
	backend, dir := echo(t, "b"), t.TempDir()
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, filepath.Join(dir, "r.yml"), bundle(routeYAML("a", "/${GOMA_PUBLIC_NAME}", backend)+routeYAML("b", "/b", backend)))
	settings := fmt.Sprintf("  providers: {file: {enabled: true, directory: %q}}\n", dir)
	write(t, path, mainFile(settings+"  reload: {enabled: true, token: \"${SHARED}\"}\n  dynamicEnv: [SHARED]\n", ""))
	problems, err := Check(path, false)
	if err != nil || !config.HasErrors(problems) || len(problems) != 1 || problems[0].Field != "gateway.dynamicEnv[0]" || problems[0].Position.Line != 5 {
		t.Errorf("%v, %v", problems, err)
	}
	if err := Run(context.Background(), Options{ConfigFile: path, LogWriter: io.Discard}); err == nil || !strings.Contains(err.Error(), "SHARED is a credential") || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}

	// A public name serves until a setting makes a credential of it.
	write(t, path, mainFile(settings, ""))
	r := start(t, Options{ConfigFile: path}).waitReady()
	r.untilRoutes("a", "b")
	r.expect("/canary-public", 200, "")
	write(t, path, mainFile(settings+"  reload: {enabled: true, token: \"${GOMA_PUBLIC_NAME}\"}\n", ""))
	r.until("a warning of the token", func(a Applied) bool {
		for _, p := range a.Problems {
			if p.Field == "gateway.reload.token" && p.Severity == config.SeverityWarning {
				return true
			}
		}
		return false
	})
	write(t, filepath.Join(dir, "r.yml"), bundle(routeYAML("a", "/${GOMA_PUBLIC_NAME}", backend)+routeYAML("b", "/b", backend)+routeYAML("c", "/c", backend)))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.at.Web+"/gateway/reload", nil)
	must(t, err)
	request.Header.Set("Authorization", "Bearer canary-public")
	answer, err := r.client.Do(request)
	must(t, err)
	must(t, answer.Body.Close())
	r.untilRoutes("b", "c")
}

func TestCheckReadsTheFilesThatRulesNameAndNoOthers(t *testing.T) { // C5, T8
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "goma.yml")
	write(t, filepath.Join(dir, "files", "broken.json"), "{")
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "files", "link.json")))
	for file, want := range map[string]string{
		"broken.json": "the file of jwksFile", "missing.json": "there is no missing.json", "../goma.yml": "must be a file in", "/etc/passwd": "must be a file in", "link.json": "must be a file in",
	} {
		write(t, path, mainFile("", routeYAML("a", "/a", "http://b:1", ", middlewares: [m]"))+
			fmt.Sprintf("middlewares:\n- {name: m, type: jwt, rule: {jwksFile: %q}}\n", file))
		problems, err := Check(path, false)
		if err != nil || !config.HasErrors(problems) || !strings.Contains(fmt.Sprint(problems), want) || strings.Contains(fmt.Sprint(problems), "root:") {
			t.Errorf("%s: %v %v", file, problems, err)
		}
	}
	// A gateway elsewhere has its own files, but no more of them.
	for file, wrong := range map[string]bool{"missing.json": false, "/etc/goma/files/k.json": false, "/etc/passwd": true} {
		cfg := &config.Config{
			Routes:      []*config.Route{{Name: "a", Path: "/a", Target: "http://b:1", Middlewares: []string{"m"}}},
			Middlewares: []*config.Middleware{{Name: "m", Type: "jwt", Rule: fmt.Appendf(nil, `{"jwksFile":%q}`, file)}},
		}
		if problems := CheckConfig(cfg, ""); config.HasErrors(problems) != wrong {
			t.Errorf("%s: %v", file, problems)
		}
	}
}
