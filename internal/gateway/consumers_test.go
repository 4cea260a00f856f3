// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	goparser "go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// member is a field of a type of package config.
type member struct{ Type, Field string }

// withoutEffect are settings that are accepted and do nothing in this build: by the
// type, or by the field. Each comes with a file that sets it, and with the setting
// of which its users are then told. C7
var withoutEffect = map[string]struct{ file, told string }{
	"Gateway.Analytics":            analyticsFile,
	"Analytics":                    analyticsFile,
	"Transport.DisableCompression": {"gateway: {networking: {transport: {disableCompression: true}}}", "gateway.networking.transport.disableCompression"},
	"Gateway.Debug":                {"gateway: {debug: true}", "gateway.debug"},
	"Monitoring.EnableLiveness":    {"gateway: {monitoring: {enableLiveness: false}}", "gateway.monitoring.enableLiveness"},
	"Monitoring.EnableReadiness":   {"gateway: {monitoring: {enableReadiness: false}}", "gateway.monitoring.enableReadiness"},
}

var (
	analyticsFile = struct{ file, told string }{"gateway: {analytics: {enabled: true}}", "gateway.analytics.enabled"}
)

// byLoader are the fields that package config itself puts into effect, or all those of
// a type, and the test that shows it.
var byLoader = map[string]string{
	"File.Version":       "there is one version of the format",
	"File.Middlewares":   "TestStaticObjectsComeFirstAndKeepTheirPointers",
	"Gateway.DynamicEnv": "TestSourcesOfOthersSeeOnlyTheVariablesTheyMay",
	"RouteTLS.Provider":  "TestARouteWithAnUnknownProviderOfCertificatesIsSetAsideAlone",
	"TLS.MinVersion":     "TestSettingsOfHandshakes",
	"TLS.CipherSuites":   "TestSettingsOfHandshakes",
	"TLS.Curves":         "TestSettingsOfHandshakes",
	"CertManager":        "TestTheProviderOfRoutesThatNameNone",
	"CertProvider.Vault": "TestAProviderOfAnotherTypeThanACMEIsOffAndSaysSo",
	"Vault":              "TestAProviderOfAnotherTypeThanACMEIsOffAndSaysSo",
}

// TestEveryFieldHasAReaderInTheDataPlane type-checks the packages of the data plane
// and looks for the code that reads each field of the vocabulary. Whoever sets a
// field that nobody reads is told; else it is a bug. C7
func TestEveryFieldHasAReaderInTheDataPlane(t *testing.T) {
	t.Parallel()
	read := readers(t)
	known := map[member]bool{}
	for _, root := range []reflect.Type{reflect.TypeFor[config.File](), reflect.TypeFor[config.Route](), reflect.TypeFor[config.Middleware]()} {
		members(root, known)
	}
	if len(known) < 120 || len(read) < 100 {
		t.Fatalf("%d fields and %d that are read: the test does not see them", len(known), len(read))
	}
	for m := range known {
		if read[m] != "" || byLoader[m.String()] != "" || byLoader[m.Type] != "" {
			continue
		}
		without, ok := withoutEffect[m.String()]
		if !ok {
			without, ok = withoutEffect[m.Type]
		}
		if !ok || !told(t, without.file, without.told) {
			t.Errorf("%s is parsed, nothing in the data plane reads it, and nobody is told: wire it", m)
		}
	}
}

func (m member) String() string { return m.Type + "." + m.Field }

// told loads a file and tells whether there is a problem of a setting, with its place.
func told(t *testing.T, text, field string) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, text)
	_, problems, err := LoadFile(path, false)
	must(t, err)
	return slices.ContainsFunc(problems, func(p config.Problem) bool { return p.Field == field && p.Position.Line == 1 })
}

// members lists the fields of a type and of those it is made of.
func members(t reflect.Type, known map[member]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		members(t.Elem(), known)
	case reflect.Struct:
		if t.PkgPath() != reflect.TypeFor[config.File]().PkgPath() || t == reflect.TypeFor[config.Meta]() {
			return
		}
		for f := range t.Fields() {
			if f.IsExported() && f.Tag.Get("json") != "-" {
				known[member{t.Name(), f.Name}] = true
				members(f.Type, known)
			}
		}
	}
}

// readers gives, for each field of package config, a place in the data plane that
// reads it. What only tells users that a setting has no effect does not count.
func readers(t *testing.T) map[member]string {
	t.Helper()
	packages := listed(t)
	exports := map[string]string{}
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	found := map[member]string{}
	for _, p := range packages {
		if !strings.HasPrefix(p.ImportPath, "gateway.jkaninda.dev/goma/internal/gateway") {
			continue
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := goparser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			must(t, err)
			files = append(files, f)
		}
		info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
		_, err := (&types.Config{Importer: imports}).Check(p.ImportPath, fset, files, info)
		must(t, err)
		for expression, s := range info.Selections {
			at := fset.Position(expression.Pos())
			if m, ok := memberOf(s); ok && filepath.Base(at.Filename) != "settings.go" {
				found[m] = fmt.Sprintf("%s:%d", filepath.Base(at.Filename), at.Line)
			}
		}
	}
	return found
}

func memberOf(s *types.Selection) (member, bool) {
	if s.Kind() != types.FieldVal {
		return member{}, false
	}
	t := s.Recv()
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := t.(*types.Named)
	if !ok || named.Obj().Pkg() == nil || named.Obj().Pkg().Path() != "gateway.jkaninda.dev/goma/internal/config" {
		return member{}, false
	}
	return member{named.Obj().Name(), s.Obj().Name()}, true
}

// listing is what the go command says of a package.
type listing struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

func listed(t *testing.T) []listing {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles", ".").Output()
	must(t, err)
	var list []listing
	for d := json.NewDecoder(bufio.NewReader(bytes.NewReader(out))); ; {
		var p listing
		if err := d.Decode(&p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}
