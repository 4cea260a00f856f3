// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gateway.jkaninda.dev/goma/internal/operator"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
)

// The golden objects of package stack are what the API server ends up with.
func TestOperatorReachesTheGoldenObjects(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "internal", "operator", "stack", "testdata")
	inputs, err := filepath.Glob(filepath.Join(dir, "*.in.yaml"))
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, path := range inputs {
		name := strings.TrimSuffix(filepath.Base(path), ".in.yaml")
		if name == "everything" {
			continue // it names a node pool, a cloud and two address families that are not here
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.operate(operator.Options{})
			in, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			out, err := os.ReadFile(filepath.Join(dir, name+".out.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			s.applyText(string(in))
			for _, want := range s.decode(string(out)) {
				s.eventually(want.GetKind()+" "+want.GetName(), func() error { return s.golden(want) })
			}
		})
	}
}

// golden gives an error unless the live object has what the golden one says.
// What depends on the cluster, the owner's identity and the names of pods, is
// put in; the text of goma.yml and its hash name the namespace.
func (s *stage) golden(want *unstructured.Unstructured) error {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(want.GroupVersionKind())
	if err := s.read(want.GetName(), live); err != nil {
		return err
	}
	want = want.DeepCopy()
	owners := want.GetOwnerReferences()
	for i := range owners {
		owners[i].UID = live.GetOwnerReferences()[0].UID
	}
	want.SetOwnerReferences(owners)
	owned, err := apply.Owned(live)
	if err != nil {
		return err
	}
	switch want.GetKind() {
	case "ConfigMap":
		retext(want, "data", "goma.yml")
		rename(want, "goma:default/", "goma:"+s.ns+"/", "data", "goma.yml")
		retext(&unstructured.Unstructured{Object: owned}, "data", "goma.yml")
	case "Deployment":
		for _, o := range []map[string]any{want.Object, owned} {
			unstructured.RemoveNestedField(o, "spec", "template", "metadata", "annotations")
		}
	case "Role":
		for _, o := range []map[string]any{want.Object, owned} {
			dropPods(o)
		}
	case "RoleBinding":
		subjects, _, _ := unstructured.NestedSlice(want.Object, "subjects")
		subjects[0].(map[string]any)["namespace"] = s.ns
		want.Object["subjects"] = subjects
	}
	check := live.DeepCopy()
	check.Object = owned
	return difference(want, check)
}

// retext drops the header, which names the namespace.
func retext(o *unstructured.Unstructured, path ...string) {
	text, _, _ := unstructured.NestedString(o.Object, path...)
	if _, body, ok := strings.Cut(text, "\n\n"); ok {
		_ = unstructured.SetNestedField(o.Object, body, path...)
	}
}

// rename puts the namespace of the test in place of that of the golden file.
func rename(o *unstructured.Unstructured, from, to string, path ...string) {
	text, _, _ := unstructured.NestedString(o.Object, path...)
	_ = unstructured.SetNestedField(o.Object, strings.ReplaceAll(text, from, to), path...)
}

// dropPods drops the rule on pods, whose names the cluster makes.
func dropPods(role map[string]any) {
	rules, _, _ := unstructured.NestedSlice(role, "rules")
	rules = slices.DeleteFunc(rules, func(r any) bool {
		resources, _, _ := unstructured.NestedStringSlice(r.(map[string]any), "resources")
		return slices.Contains(resources, "pods")
	})
	role["rules"] = rules
}

// difference compares two objects without what names them.
func difference(want, have *unstructured.Unstructured) error {
	w, h := want.DeepCopy(), have.DeepCopy()
	for _, o := range []*unstructured.Unstructured{w, h} {
		for _, field := range []string{"apiVersion", "kind"} {
			delete(o.Object, field)
		}
		unstructured.RemoveNestedField(o.Object, "metadata", "name")
		unstructured.RemoveNestedField(o.Object, "metadata", "namespace")
	}
	a, b := asYAML(w), asYAML(h)
	if a == b {
		return nil
	}
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range la {
		if i >= len(lb) || la[i] != lb[i] {
			return fmt.Errorf("want %q, have %q", la[i], lb[min(i, len(lb)-1)])
		}
	}
	return fmt.Errorf("have more than wanted: %s", b)
}
