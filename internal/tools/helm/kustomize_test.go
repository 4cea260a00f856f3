// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func kustomize(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, "deploy", "kustomize", folder))
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, split(text))
}

func split(text []byte) []string {
	var out []string
	for doc := range bytes.SplitSeq(append([]byte("\n"), text...), []byte("\n---\n")) {
		if len(bytes.TrimSpace(doc)) > 0 {
			out = append(out, string(doc))
		}
	}
	return out
}

// one identifies an object, and what it holds.
func one(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	text, err := json.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	return o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName() + " " + string(text)
}

func TestTheBaseIsWhatInstallYAMLInstalls(t *testing.T) { // Z1
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "deploy", "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\n---\n"))
	var want, have []string
	for _, o := range objects(t, split(text)) {
		want = append(want, one(t, o))
	}
	for _, o := range kustomize(t, "base") {
		have = append(have, one(t, o))
	}
	slices.Sort(want)
	slices.Sort(have)
	if len(want) != len(have) {
		t.Fatalf("the base has %d objects, install.yaml %d", len(have), len(want))
	}
	for i := range want {
		if want[i] != have[i] {
			t.Errorf("the base has\n%s\ninstall.yaml has\n%s", have[i], want[i])
		}
	}
}

// The example moves everything, the name in the admission policies too.
func TestTheExampleMovesEverything(t *testing.T) {
	t.Parallel()
	all := kustomize(t, "example")
	text := ""
	for _, o := range all {
		text += one(t, o) + "\n"
		strictUnlessDefinition(t, o)
	}
	if strings.Contains(text, namespace) {
		t.Errorf("something stays in %s", namespace)
	}
	for _, want := range []string{"system:serviceaccount:gateways:goma-operator-controller-manager'", "jkaninda/goma-operator:v1.2.3", `"memory":"1Gi"`, "Namespace /gateways"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s", want)
		}
	}
}

func strictUnlessDefinition(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	if o.GetKind() != "CustomResourceDefinition" {
		strict(t, o)
	}
}
