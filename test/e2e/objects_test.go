// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

const backend = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: backend}
spec:
  replicas: 2
  selector: {matchLabels: {app: backend}}
  template:
    metadata: {labels: {app: backend}}
    spec:
      containers:
        - name: backend
          image: goma.test/backend:latest
          imagePullPolicy: IfNotPresent
          readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: backend}
spec: {selector: {app: backend}, ports: [{port: 8080}]}
`

// example reads a manifest of examples/, for the namespace of the test.
func (w *world) example(name string) string {
	w.Helper()
	text, err := os.ReadFile(root + "examples/" + name)
	if err != nil {
		w.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "namespace: default", "namespace: "+w.namespace)
}

// pods gives those of a Gateway that are not on their way out, by name.
func (w *world) pods(gateway string) []corev1.Pod {
	w.Helper()
	var list corev1.PodList
	if err := kube.List(w.Context(), &list, client.InNamespace(w.namespace), client.MatchingLabels{"app": gateway}); err != nil {
		w.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

func ready(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// settled waits until a Gateway has exactly so many pods, all ready and of its
// present template, and its status says so.
func (w *world) settled(gateway string, replicas int) {
	w.Helper()
	w.until(fmt.Sprintf("Gateway %s has %d ready pods", gateway, replicas), func() bool {
		var d appsv1.Deployment
		var g v1alpha1.Gateway
		if w.get(gateway, &d) || w.get(gateway, &g) {
			return false
		}
		n := int32(replicas) //nolint:gosec // a few
		s := d.Status
		rolled := s.ObservedGeneration == d.Generation && s.Replicas == n && s.UpdatedReplicas == n && s.ReadyReplicas == n
		return rolled && len(w.pods(gateway)) == replicas && g.Status.ReadyReplicas == n && programmed(&g)
	})
}

func programmed(g *v1alpha1.Gateway) bool {
	for _, c := range g.Status.Conditions {
		if c.Type == "Programmed" {
			return c.Status == "True" && c.ObservedGeneration == g.Generation
		}
	}
	return false
}

// programmedRoute waits until the status of a Route says that it is served.
func (w *world) programmedRoute(name string) {
	w.Helper()
	w.until("Route "+name+" is programmed", func() bool {
		var r v1alpha1.Route
		if w.get(name, &r) {
			return false
		}
		return slices.ContainsFunc(r.Status.Conditions, func(c metav1.Condition) bool {
			return c.Type == "Programmed" && c.Status == "True" && c.ObservedGeneration == r.Generation
		})
	})
}

// clusterIP gives the address of a Service.
func (w *world) service(name string) *corev1.Service {
	w.Helper()
	var s corev1.Service
	if w.get(name, &s) {
		w.Fatalf("there is no Service %s", name)
	}
	return &s
}

func (w *world) url(gateway, path string) string {
	w.Helper()
	return "http://" + w.service(gateway).Spec.ClusterIP + ":8080" + path
}

// answer is what came back.
type answer struct {
	status int
	body   string
	// Path is what the backend saw.
	Path string
}

var quick = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ask sends one request; a failure to connect has the status 0.
func (w *world) ask(url string, edit ...func(*http.Request)) answer {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range edit {
		e(r)
	}
	resp, err := quick.Do(r)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{body: err.Error()}
	}
	a := answer{status: resp.StatusCode, body: string(body)}
	_ = json.Unmarshal(body, &a) // an error page has no path
	return a
}

func (w *world) untilStatus(status int, url string, edit ...func(*http.Request)) answer {
	w.Helper()
	var last answer
	w.until(fmt.Sprintf("%s answers %d", url, status), func() bool {
		last = w.ask(url, edit...)
		return last.status == status
	})
	return last
}
