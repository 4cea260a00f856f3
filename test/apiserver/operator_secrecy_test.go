// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"log/slog"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator"
)

// hidden stands for whatever nobody but its owner may read.
const hidden = "h1dden-s3cret"

// Each place in which a user may write a secret, in its right form and in wrong
// ones: an error message repeats nothing of them either.
const hiding = `
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Gateway
metadata: {name: gateway}
spec:
  server:
    redis: {addr: "redis:6379", password: HIDDEN-redis}
    reload: {enabled: true, token: HIDDEN-reload}
    tls: [{secretName: broken-tls}]
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Gateway
metadata: {name: static}
spec:
  providers: {kubernetes: {enabled: false}}
  server: {redis: {addr: "redis:6379", password: HIDDEN-static}}
  autoScaling: {enabled: true}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: site}
spec: {gateways: [gateway, static], path: /, target: "http://site:8080", middlewares: [login, forward]}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: broken}
spec:
  gateways: [gateway, static]
  path: /broken
  hosts: [site.example.com]
  target: "http://site:8080"
  middlewares: [hash, keyless]
  tls: {secretName: broken-tls}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Middleware
metadata: {name: login}
spec: {type: basicAuth, rule: {users: [{username: ann, password: HIDDEN-plain}, "bob:HIDDEN-short"]}}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Middleware
metadata: {name: forward}
spec: {type: requestHeaders, rule: {setHeaders: {Authorization: "Bearer HIDDEN-header"}}}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Middleware
metadata: {name: hash}
spec: {type: basicAuth, rule: {users: [{username: ann, password: "$6$HIDDEN-hash$x"}]}}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Middleware
metadata: {name: keyless}
spec: {type: jwtAuth, rule: {secret: HIDDEN-jwt}}
---
apiVersion: v1
kind: Secret
metadata: {name: broken-tls}
stringData: {tls.crt: HIDDEN-certificate, tls.key: HIDDEN-key}
`

// C8, O7: whatever a user keeps in a Secret, or writes into a Gateway or a
// Middleware for want of one, is in Secrets only: in no object that the operator
// makes, in no status, annotation or event, and in no line of its log.
func TestSecretsStayInSecrets(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startKubelet()
	log := &lockedBuffer{}
	s.operate(operator.Options{Logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	s.applyText(strings.ReplaceAll(hiding, "HIDDEN", hidden))
	s.eventually("all is judged", func() error {
		return firstError(
			s.gatewayIs("gateway", "Programmed", true, ""), s.gatewayIs("static", "Programmed", true, ""),
			s.gatewayIs("static", "ConfigSynced", true, ""), s.routeReady("site"),
			s.middlewareIs("login", "Accepted", true, ""), s.middlewareIs("forward", "Accepted", true, ""),
			s.middlewareIs("hash", "Valid", false, ""), s.middlewareIs("keyless", "Accepted", true, ""),
			s.routeIs("broken", "ResolvedRefs", false, ""))
	})
	objects := 0
	for _, kind := range []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("ConfigMap"), corev1.SchemeGroupVersion.WithKind("Service"),
		corev1.SchemeGroupVersion.WithKind("ServiceAccount"), corev1.SchemeGroupVersion.WithKind("Pod"),
		corev1.SchemeGroupVersion.WithKind("Event"), appsv1.SchemeGroupVersion.WithKind("Deployment"),
		appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
		rbacv1.SchemeGroupVersion.WithKind("Role"), rbacv1.SchemeGroupVersion.WithKind("RoleBinding"),
		v1alpha1.GroupVersion.WithKind("Gateway"), v1alpha1.GroupVersion.WithKind("Route"), v1alpha1.GroupVersion.WithKind("Middleware"),
	} {
		objects += s.holdsNothingHidden(kind)
	}
	if objects < 20 {
		t.Errorf("only %d objects were looked at", objects)
	}
	if text := log.String(); strings.Contains(text, hidden) {
		t.Errorf("the log holds a secret:\n%s", text)
	}
	var secret corev1.Secret
	s.get("static-credentials", &secret)
	for _, want := range []string{"static", "plain", "short", "header"} {
		found := false
		for _, value := range secret.Data {
			found = found || strings.Contains(string(value), hidden+"-"+want)
		}
		if !found {
			t.Errorf("the pods without a sidecar are not given %s", want)
		}
	}
}

// holdsNothingHidden looks at all objects of a kind in the namespace, without what
// the user wrote, and tells how many there are.
func (s *stage) holdsNothingHidden(kind schema.GroupVersionKind) int {
	s.t.Helper()
	var list unstructured.UnstructuredList
	list.SetGroupVersionKind(kind)
	if err := s.client.List(s.t.Context(), &list, client.InNamespace(s.ns)); err != nil {
		s.t.Fatal(err)
	}
	for i := range list.Items {
		o := &list.Items[i]
		if kind.Group == v1alpha1.GroupVersion.Group {
			delete(o.Object, "spec")
		}
		if text := asYAML(o); strings.Contains(text, hidden) {
			s.t.Errorf("a secret is in\n%s", text)
		}
	}
	return len(list.Items)
}
