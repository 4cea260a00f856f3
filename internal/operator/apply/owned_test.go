// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// liveService is as the API server gives it: defaults filled in, a port and an
// annotation of somebody else, and the record of who owns what.
const liveService = `{
  "apiVersion": "v1", "kind": "Service",
  "metadata": {"name": "gateway", "namespace": "default", "annotations": {"cloud": "1", "ours": "1"},
    "labels": {"app": "gateway"}, "finalizers": ["theirs", "ours"],
    "managedFields": [
      {"manager": "cloud", "operation": "Update", "fieldsV1": {"f:metadata": {"f:annotations": {"f:cloud": {}}}}},
      {"manager": "goma-operator", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
      {"manager": "goma-operator", "operation": "Apply", "fieldsV1": {
        "f:metadata": {"f:annotations": {"f:ours": {}}, "f:labels": {"f:app": {}}, "f:finalizers": {"v:\"ours\"": {}}},
        "f:spec": {"f:selector": {}, "f:type": {}, "f:ports": {
          "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}}}}}
    ]},
  "spec": {"clusterIP": "10.0.0.1", "type": "ClusterIP", "selector": {"app": "gateway"}, "ports": [
    {"name": "other", "port": 9000, "protocol": "TCP"},
    {"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080}]}
}`

const desiredService = `{
  "apiVersion": "v1", "kind": "Service",
  "metadata": {"name": "gateway", "namespace": "default", "annotations": {"ours": "1"}, "labels": {"app": "gateway"}, "finalizers": ["ours"]},
  "spec": {"type": "ClusterIP", "selector": {"app": "gateway"}, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
}`

func TestAnObjectIsTheSameWhenOurFieldsAreAsDesired(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(want, live map[string]any)
		same   bool
	}{
		"what others own makes no difference": {func(_, _ map[string]any) {}, true},
		"a value of ours that changed does": {func(_, live map[string]any) {
			live["spec"].(map[string]any)["type"] = "NodePort"
		}, false},
		"a field of ours that somebody took over does": {func(_, live map[string]any) {
			delete(ours(live)["f:spec"].(map[string]any), "f:type")
		}, false},
		"a field of ours that was removed does": {func(_, live map[string]any) {
			delete(live["metadata"].(map[string]any)["labels"].(map[string]any), "app")
		}, false},
		"a field that we no longer want does": {func(want, _ map[string]any) {
			delete(want["metadata"].(map[string]any), "annotations")
		}, false},
		"a field that we now want does": {func(want, _ map[string]any) {
			want["spec"].(map[string]any)["sessionAffinity"] = "ClientIP"
		}, false},
		"an item of a list that changed does": {func(_, live map[string]any) {
			live["spec"].(map[string]any)["ports"].([]any)[1].(map[string]any)["name"] = "web"
		}, false},
		"an object that we never applied does": {func(_, live map[string]any) {
			live["metadata"].(map[string]any)["managedFields"] = []any{}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, live := parse(t, desiredService), parse(t, liveService)
			c.change(want.Object, live.Object)
			same, err := Same(want, live)
			if err != nil || same != c.same {
				t.Errorf("same = %v, %v; want %v", same, err, c.same)
			}
		})
	}
}

func TestOwnsTellsASingleField(t *testing.T) {
	t.Parallel()
	live := parse(t, liveService)
	if !Owns(live, "spec", "type") || Owns(live, "spec", "clusterIP") {
		t.Errorf("owns type: %v, owns clusterIP: %v", Owns(live, "spec", "type"), Owns(live, "spec", "clusterIP"))
	}
}

func TestDesiredOwnsNothingByAccident(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", SecurityContext: &corev1.SecurityContext{}}}},
	}
	got, err := Desired(pod)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got.Object)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"default"},"spec":{"containers":[{"name":"c"}]}}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if _, err := Desired(&corev1.Pod{}); err == nil {
		t.Error("an object without a kind was accepted")
	}
}

// ours is the record of the operator's own applied fields.
func ours(live map[string]any) map[string]any {
	entries := live["metadata"].(map[string]any)["managedFields"].([]any)
	return entries[2].(map[string]any)["fieldsV1"].(map[string]any)
}

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}
