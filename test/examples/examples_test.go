// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build examples

package examples

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema"
)

// names are those of the example files.
func names(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(paths) < 30 {
		t.Fatalf("only %d examples: %v", len(paths), err)
	}
	var list []string
	for _, p := range paths {
		list = append(list, filepath.Base(p))
	}
	return list
}

func TestEveryExampleAndEveryRouteHasARequest(t *testing.T) {
	t.Parallel()
	list := names(t)
	for name := range cases {
		if !slices.Contains(list, name) {
			t.Errorf("there is no example %s", name)
		}
	}
	for _, name := range list {
		if len(cases[name]) == 0 {
			t.Errorf("%s has no request in cases_test.go", name)
			continue
		}
		for _, r := range read(t, filepath.Join(folder, name)).routes {
			if !slices.ContainsFunc(cases[name], func(c request) bool { return c.route == r.Name }) {
				t.Errorf("%s: Route %s has no request in cases_test.go", name, r.Name)
			}
		}
	}
}

func TestEveryExampleStartsServesAndReloads(t *testing.T) { // C3, D1
	t.Parallel()
	for _, name := range names(t) {
		m := read(t, filepath.Join(folder, name))
		for _, gw := range m.gateways {
			t.Run(strings.TrimSuffix(name, ".yaml")+"/"+gw.Name, func(t *testing.T) {
				t.Parallel()
				serve(t, m, gw)
			})
		}
	}
}

// serve runs one Gateway of an example through its life.
func serve(t *testing.T, m manifest, gw *v1alpha1.Gateway) {
	ca := newAuthority(t)
	path := copyOf(t, m.name)
	args := []string{"-f", path}
	if secrets := m.secrets(t, ca); secrets != "" {
		args = append(args, "-f", secrets)
	}
	if len(m.gateways) > 1 {
		args = append(args, "--gateway", gw.Name)
	}
	added := "http://added.default.svc.cluster.local:80"
	args = append(args, backends(t, append(m.endpoints(), added), ca)...)
	p := up(t, filepath.Dir(path), args...)
	expect(t, p, m.name)
	if strings.Contains(p.Out.String(), "error:") != unsupported[m.name] {
		t.Errorf("errors:\n%s", p.Out)
	}
	reload(t, p, path, gw.Name, added)
	expect(t, p, m.name)
	if f := special[m.name]; f != nil {
		f(t, p)
	}
}

// expect sends the requests of an example.
func expect(t *testing.T, p *process, name string) {
	t.Helper()
	for _, c := range cases[name] {
		if wrong := c.check(p.send(c)); len(wrong) > 0 {
			t.Errorf("%s %s%s (tls %v): %s\n%s", c.method, c.host, c.path, c.tls, strings.Join(wrong, "; "), p.Out)
		}
	}
}

// reload adds a Route, breaks the file, and repairs it.
func reload(t *testing.T, p *process, path, gateway, target string) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	more := func(at string) string {
		return string(text) + fmt.Sprintf("---\napiVersion: gateway.jkaninda.dev/v1alpha1\nkind: Route\n"+
			"metadata: {name: added}\nspec: {gateways: [%s], path: %s, priority: 100, target: %q}\n", gateway, at, target)
	}
	live := func(at string) func() bool {
		return func() bool {
			return p.send(request{path: at}).header.Get(sawBackend) == "added.default.svc.cluster.local"
		}
	}
	edit(t, path, more("/added-route"))
	p.Until("the added Route", live("/added-route"))
	lines := strings.Count(string(text), "\n")
	edit(t, path, more("[1]"))
	p.untilPrinted(fmt.Sprintf("%s:%d:", path, lines+5))
	if !live("/added-route")() {
		t.Errorf("a broken edit has taken the Route away:\n%s", p.Out)
	}
	edit(t, path, more("/moved-route"))
	p.Until("the Route in its new place", live("/moved-route"))
	edit(t, path, string(text))
	p.Until("the Route is gone", func() bool { return !live("/moved-route")() })
}

func TestExamplesPassTheCheck(t *testing.T) { // C5
	t.Parallel()
	for _, name := range names(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := read(t, filepath.Join(folder, name))
			args := []string{"check", "-f", name}
			if secrets := m.secrets(t, newAuthority(t)); secrets != "" {
				args = append(args, "-f", secrets)
			}
			code, out, errs := goma(t, folder, args...)
			if (code == 1) != unsupported[name] || code > 1 || errs != "" {
				t.Errorf("exit code %d:\n%s%s", code, out, errs)
			}
			for line := range strings.Lines(out) {
				if strings.Contains(line, ": error: ") && !strings.Contains(line, "this build has no middleware type") {
					t.Errorf("error: %s", line)
				}
				if strings.Contains(line, "SecretNotFound") {
					t.Errorf("the test has created the Secret: %s", line)
				}
			}
		})
	}
}

func TestExamplesRender(t *testing.T) {
	t.Parallel()
	for _, name := range names(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := read(t, filepath.Join(folder, name))
			code, objects, errs := goma(t, folder, "render", "-f", name, "-o", "objects")
			if code != 0 {
				t.Fatalf("exit code %d:\n%s", code, errs)
			}
			docs, problems := schema.Documents("objects.yaml", []byte(objects))
			deployments := 0
			for _, doc := range docs {
				if doc.Ref().Kind == "Deployment" {
					deployments++
				}
			}
			if len(problems) > 0 || deployments != len(m.gateways) {
				t.Errorf("%d Deployments of %d Gateways, %v", deployments, len(m.gateways), problems)
			}
			for _, gw := range m.gateways {
				code, text, errs := goma(t, folder, "render", "-f", name, "-o", "config", "--gateway", gw.Name)
				f, problems, err := config.ParseFile("goma.yml", []byte(text), config.LoadOptions{Strict: true})
				if code != 0 || err != nil || config.HasErrors(problems) {
					t.Errorf("goma.yml: exit code %d, %v %v\n%s", code, err, problems, errs)
					continue
				}
				if want := attached(m, gw); len(f.Gateway.Routes) != want {
					t.Errorf("%d routes instead of %d", len(f.Gateway.Routes), want)
				}
			}
		})
	}
}

func attached(m manifest, gw *v1alpha1.Gateway) (n int) {
	for _, r := range m.routes {
		if r.Namespace == gw.Namespace && slices.Contains(r.Spec.Gateways, gw.Name) {
			n++
		}
	}
	return n
}

func TestOfSeveralGatewaysOneHasToBeNamed(t *testing.T) {
	t.Parallel()
	code, _, errs := goma(t, folder, "up", "-f", "27-two-gateways.yaml")
	if code != 1 || !strings.Contains(errs, "2 Gateways, internal, public; choose one with --gateway") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	code, _, errs = goma(t, folder, "up", "-f", "27-two-gateways.yaml", "--gateway", "pubic")
	if code != 1 || !strings.Contains(errs, "no Gateway pubic; there is internal, public") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestTheQuickstartShowsTrafficThroughItsMiddleware(t *testing.T) {
	t.Parallel()
	p := up(t, t.TempDir())
	for _, tls := range []bool{false, true} {
		a := p.send(request{path: "/", tls: tls})
		if a.status != http.StatusOK || !strings.Contains(a.body, "from the middleware hello") {
			t.Errorf("%d %s %v", a.status, a.body, a.problem)
		}
	}
}
