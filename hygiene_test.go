// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package goma_test holds the rules of the repository as tests: what may import
// what, and what every file says of itself.
package goma_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "gateway.jkaninda.dev/goma/"
	header = "// Copyright The Goma Authors\n// SPDX-License-Identifier: Apache-2.0\n"
)

// forbidden lists, for a folder and everything below it, what it must not import.
var forbidden = []struct {
	folder, imports, because string
}{
	{"internal/config", module, "config is the vocabulary of all others"},
	{"internal/gateway", "k8s.io/", "the data plane stays small and has no cluster rights"},
	{"internal/gateway", "sigs.k8s.io/", "the data plane stays small and has no cluster rights"},
	{"internal/gateway", module + "internal/translate", "translation happens before the gateway"},
	{"internal/gateway", module + "internal/operator", "the data plane does not know the operator"},
	{"internal/wire", "k8s.io/", "the gateway reads what wire writes"},
	{"internal/wire", "sigs.k8s.io/", "the gateway reads what wire writes"},
	{"internal/translate", module + "internal/gateway", "translation is pure and knows no data plane"},
	{"internal/translate", module + "internal/operator", "the operator uses translation"},
	{"api", module, "the API is data only"},
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	for path, file := range sources(t, parser.ImportsOnly) {
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, rule := range forbidden {
				below := strings.HasPrefix(path, rule.folder+"/")
				own := strings.HasPrefix(imported, module+rule.folder)
				if below && !own && strings.HasPrefix(imported, rule.imports) && !strings.HasSuffix(path, "_test.go") {
					t.Errorf("%s imports %s: %s", path, imported, rule.because)
				}
			}
		}
	}
}

// The data plane is small, and has no rights in a cluster.
func TestTheGatewayIsBuiltWithoutKubernetes(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/goma-gateway").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(path, "k8s.io/") || strings.HasPrefix(path, "sigs.k8s.io/") || strings.HasPrefix(path, module+"internal/operator") {
			t.Errorf("goma-gateway contains %s; keep it on the other side of package wire", path)
		}
	}
}

// Endpoints of one namespace may be written to point into another (CVE-2021-25740), so
// backends are named by Services and reached by their names; nobody reads Endpoints.
func TestNothingReadsEndpointsOfACluster(t *testing.T) { // U7
	t.Parallel()
	manifest, err := os.ReadFile("deploy/install.yaml")
	if err != nil {
		t.Fatal(err)
	}
	granted := regexp.MustCompile(`(?im)^[ -]*(resources: *\[(.*[ ,])?)?["']?endpoint(s|slices)["']?( *[],].*)?$`)
	if at := granted.FindString(string(manifest)); at != "" {
		t.Errorf("deploy/install.yaml grants a right on Endpoints: %s", at)
	}
	for _, line := range []string{"    - endpoints", "- resources: [pods, endpointslices]", `  resources: ["endpoints", pods]`} {
		if !granted.MatchString(line) {
			t.Errorf("%q would not be found", line)
		}
	}
	for path := range sources(t, parser.PackageClauseOnly) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(path, "internal/") && (strings.Contains(string(text), "EndpointSlice") || strings.Contains(string(text), "corev1.Endpoints")) {
			t.Errorf("%s reads Endpoints", path)
		}
	}
}

// kubectl apply keeps a whole manifest in an annotation, and those end at 256 KiB.
func TestDefinitionsFitAPlainApply(t *testing.T) { // Z1
	t.Parallel()
	files, err := filepath.Glob("deploy/crds/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("%d definitions, %v", len(files), err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() >= 256<<10 {
			t.Errorf("%s has %d bytes: shorten descriptions of embedded types", file, info.Size())
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksOfTheDocsLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages := []string{"README.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir("docs", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil || len(pages) < 40 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), filepath.FromSlash(target))); err != nil {
				t.Errorf("%s links to %s, which is not there", page, target)
			}
		}
	}
}

func TestEveryFileNamesItsLicence(t *testing.T) {
	t.Parallel()
	for path := range sources(t, parser.PackageClauseOnly) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), header) {
			t.Errorf("%s lacks the two lines of the licence:\n%s", path, header)
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for path, file := range sources(t, parser.ParseComments) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		folder := filepath.Dir(path)
		documented[folder] = documented[folder] || hasDoc(file)
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("package in %s has no package comment", folder)
		}
	}
}

func hasDoc(file *ast.File) bool { return file.Doc != nil && len(file.Doc.Text()) > 20 }

// sources parses every Go file of the repository, by its path with slashes.
func sources(t *testing.T, mode parser.Mode) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && path != "." || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, mode)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(path)] = file
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found only %d Go files; are we at the root of the repository?", len(files))
	}
	return files
}
