// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// TestRoutesOfOthersNameFilesOfTheirDirectoriesOnly takes each field that may hold a
// path, from each source, to each kind of place. T8
func TestRoutesOfOthersNameFilesOfTheirDirectoriesOnly(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	files, routes, elsewhere := filepath.Join(root, "files"), filepath.Join(root, "route-certs"), filepath.Join(root, "elsewhere")
	for _, dir := range []string{files, routes, elsewhere, filepath.Join(files, "..v1")} {
		must(t, os.MkdirAll(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "x.pem"), []byte("x"), 0o600))
	}
	must(t, os.Symlink(filepath.Join(elsewhere, "x.pem"), filepath.Join(files, "out.pem")))
	must(t, os.Symlink(elsewhere, filepath.Join(files, "outside")))
	must(t, os.Symlink("..v1/x.pem", filepath.Join(files, "in.pem")))
	must(t, os.Symlink("loop.pem", filepath.Join(files, "loop.pem")))
	set := map[string]func(r *config.Route, value string){
		"security.tls.rootCAs":    func(r *config.Route, v string) { backendTLS(r).RootCAs = v },
		"security.tls.clientCert": func(r *config.Route, v string) { backendTLS(r).ClientCert = v },
		"security.tls.clientKey":  func(r *config.Route, v string) { backendTLS(r).ClientKey = config.PrivateKey(v) },
		"tls.certificate.cert":    func(r *config.Route, v string) { r.TLS = &config.RouteTLS{Certificate: &config.Certificate{Cert: v}} },
		"tls.certificate.key": func(r *config.Route, v string) {
			r.TLS = &config.RouteTLS{Certificate: &config.Certificate{Key: config.PrivateKey(v)}}
		},
		"tls.certificates[0].cert": func(r *config.Route, v string) {
			r.TLS = &config.RouteTLS{Certificates: []config.Certificate{{Cert: v}}}
		},
		"tls.certificates[0].key": func(r *config.Route, v string) {
			r.TLS = &config.RouteTLS{Certificates: []config.Certificate{{Key: config.PrivateKey(v)}}}
		},
	}
	const free = "static extra file"
	for value, allowed := range map[string]string{
		filepath.Join(files, "x.pem"):             free + " http git kubernetes",
		filepath.Join(files, "in.pem"):            free + " http git kubernetes",
		filepath.Join(files, "not-there-yet.pem"): free + " http git kubernetes",
		filepath.Join(routes, "x.pem"):            free + " kubernetes",
		filepath.Join(files, "out.pem"):           free,
		filepath.Join(files, "outside", "x.pem"):  free,
		filepath.Join(files, "loop.pem"):          free,
		filepath.Join(elsewhere, "x.pem"):         free,
		files + "/../elsewhere/x.pem":             free,
		files + "-2/x.pem":                        free,
		files:                                     free,
		"x.pem":                                   free,
		"/etc/passwd":                             free,
		"-----BEGIN CERTIFICATE-----\nx":          free + " http git kubernetes",
		"":                                        free + " http git kubernetes",
	} {
		for field, put := range set {
			for _, source := range []string{"static", "extra", "file", "http", "git", "kubernetes"} {
				b := newBench(t)
				b.compiler.o.FilesDir, b.compiler.o.RouteFiles = files, routes
				r := newRoute("a", "/a")
				r.Meta.Ref = config.ObjectRef{Kind: "Route", Name: "a", Source: source}
				put(r, value)
				b.apply(cfg(r, newRoute("b", "/b")))
				refused := false
				for _, p := range b.problems {
					refused = refused || p.Field == field && strings.Contains(p.Message, "must be a file in "+map[bool]string{true: routes + " or "}[source == "kubernetes"]+files)
				}
				if may := strings.Contains(allowed, source); refused == may {
					t.Errorf("%s of source %s is %q: refused %v, problems %q", field, source, value, refused, b.problems)
				}
				if built, _ := b.count("a"); refused && strings.HasPrefix(field, "security") && built != 0 {
					t.Errorf("%s of source %s is %q: it is read", field, source, value)
				}
				if refused {
					b.expect("GET", "http://h/a", 503, "")
				}
				b.expect("GET", "http://h/b", 200, "b")
			}
		}
	}
}

func backendTLS(r *config.Route) *config.BackendTLS {
	r.Security = &config.RouteSecurity{TLS: &config.BackendTLS{}}
	return r.Security.TLS
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAProblemStandsWhereItsObjectStandsNow compiles a document again after it has
// moved: nothing is made anew, and yet each problem names the new line.
func TestAProblemStandsWhereItsObjectStandsNow(t *testing.T) { // C5
	t.Parallel()
	const text = `gateway:
  defaults:
    middlewares: [nobody]
  monitoring:
    middleware:
      metrics:
        - nobody
  routes:
    - name: a
      path: /a
      target: http://a
      middlewares:
        - add
        - missing
    - name: twin
      path: /a
      target: http://a
    - name: secure
      path: /s
      target: http://s
      tls:
        certificates:
          - {cert: /none/tls.crt, key: /none/tls.key}
middlewares:
  - name: add
    type: addPrefix
    rule:
      prefixx: /v
  - name: who
    type: nobodyKnows
`
	b := newBench(t)
	for down := range 3 {
		f, problems, err := config.ParseFile("goma.yml", []byte(strings.Repeat("#\n", down)+text), config.LoadOptions{Source: "static"})
		if err != nil || len(problems) != 0 {
			t.Fatal(err, problems)
		}
		merged, problems := config.Merge(f, nil)
		if len(problems) != 0 {
			t.Fatal(problems)
		}
		b.apply(merged)
		got := map[string]bool{}
		for _, p := range b.problems {
			got[fmt.Sprintf("%s %s %d:%d", p.Object.Name, p.Field, p.Position.Line-down, p.Position.Column)] = true
		}
		for _, want := range []string{
			"a gateway.defaults.middlewares 3:5", " gateway.monitoring.middleware.metrics[0] 7:11", "a middlewares[1] 14:11",
			"twin path 16:13", "secure tls.certificates[0] 23:13", "add rule.prefixx 28:16", "who type 30:11",
		} {
			if !got[want] {
				t.Errorf("moved by %d: no problem %s among %v", down, want, got)
			}
		}
	}
}
