// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const program = `package main

import "fmt"

func main() { fmt.Println("goma") }
`

// compile builds a program in a folder of its own, by the flags of the Makefile.
func compile(t *testing.T, arch string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/app\n\ngo 1.26.0\n", "main.go": program} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(folder, arch), ".")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return folder
}

// Two builds from the sources, in two places, are one image: its digest says what is in it.
func TestTwoBuildsGiveOneDigest(t *testing.T) { // Z5
	t.Parallel()
	var archives, bills []string
	for range 2 {
		folder := compile(t, "amd64")
		out := filepath.Join(folder, "app.tar")
		err := run(options{tag: "jkaninda/app:1", arch: "amd64", user: "1:1", version: "v1"}, out, folder, []string{filepath.Join(folder, "{arch}") + ":/app"})
		if err != nil {
			t.Fatal(err)
		}
		for name, list := range map[string]*[]string{"app.tar": &archives, "app.amd64.cdx.json": &bills} {
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			*list = append(*list, fmt.Sprintf("%x", sha256.Sum256(text)))
		}
	}
	if archives[0] != archives[1] {
		t.Errorf("the archives are %v", archives)
	}
	if bills[0] != bills[1] {
		t.Errorf("the bills of materials are %v", bills)
	}
}

func TestAnImageOfSeveralArchitecturesIsAnIndexOfThem(t *testing.T) { // Z5
	t.Parallel()
	folder := t.TempDir()
	for _, arch := range []string{"amd64", "arm64"} {
		if err := os.WriteFile(filepath.Join(folder, arch), []byte("program of "+arch), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(folder, "app.tar")
	if err := run(options{tag: "jkaninda/app:1", arch: "amd64,arm64", user: "1:1"}, out, "", []string{folder + "/{arch}:/app"}); err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	files := read(t, archive)
	for name, data := range files {
		if sum, ok := strings.CutPrefix(name, "blobs/sha256/"); ok && sum != "" && sum != digest(data) {
			t.Errorf("%s holds something else", name)
		}
	}
	var top, images index
	decode(t, files["index.json"], &top)
	if len(top.Manifests) != 1 || top.Manifests[0].MediaType != typeIndex || top.Manifests[0].Annotations["io.containerd.image.name"] != "docker.io/jkaninda/app:1" {
		t.Fatalf("index %+v", top)
	}
	decode(t, files[top.Manifests[0].blob()], &images)
	for i, arch := range []string{"amd64", "arm64"} {
		if got := images.Manifests[i].Platform["architecture"]; got != arch {
			t.Errorf("image %d is for %s", i, got)
		}
		var m struct{ Layers []described }
		decode(t, files[images.Manifests[i].blob()], &m)
		if layer := read(t, files[m.Layers[0].blob()]); string(layer["app"]) != "program of "+arch {
			t.Errorf("the image for %s holds %q", arch, layer["app"])
		}
	}
}

type index struct{ Manifests []described }

type described struct {
	MediaType, Digest     string
	Platform, Annotations map[string]string
}

func (d described) blob() string { return "blobs/sha256/" + strings.TrimPrefix(d.Digest, "sha256:") }

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

// The bill of this test's own program names every module of its build.
func TestTheBillNamesEveryModule(t *testing.T) { // Z5
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := options{tag: "jkaninda/app:1", arch: "amd64", version: "v1.2.3"}
	text, err := materials(o, strings.Repeat("0", 64), []entry{{path: "/app", source: self}})
	if err != nil {
		t.Fatal(err)
	}
	var b bill
	decode(t, text, &b)
	if b.Format != "CycloneDX" || b.Spec != "1.6" || !strings.HasPrefix(b.Serial, "urn:uuid:") || b.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("%s", text)
	}
	for _, want := range []string{`"purl": "pkg:golang/gateway.jkaninda.dev/goma@v1.2.3"`, `"purl": "pkg:golang/std@1.`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("it does not hold %s:\n%s", want, text)
		}
	}
	if len(b.Dependencies) != 1 || len(b.Dependencies[0].On) != len(b.Components) {
		t.Errorf("dependencies %+v", b.Dependencies)
	}
	if _, err := materials(o, "", []entry{{path: "/x", source: "multi_test.go"}}); err == nil {
		t.Error("of an image without a Go program there is a bill")
	}
}
