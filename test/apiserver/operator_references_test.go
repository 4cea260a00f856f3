// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator"
)

// referring are two Gateways, with and without a sidecar, whose Route uses a
// Middleware with its password in SECRET.
const referring = `
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Gateway
metadata: {name: gateway}
spec: {}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Gateway
metadata: {name: static}
spec: {providers: {kubernetes: {enabled: false}}}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: site}
spec: {gateways: [gateway, static], path: /, target: "http://site:8080", middlewares: [login]}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: open}
spec: {gateways: [gateway, static], path: /open, target: "http://site:8080"}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Middleware
metadata: {name: login}
spec: {type: basicAuth, rule: {users: [{username: ann, passwordFrom: {secretKeyRef: {name: SECRET, key: ann}}}]}}
`

const people = `
apiVersion: v1
kind: Secret
metadata: {name: NAME}
stringData: {KEY: HIDDEN-password}
`

// A Middleware names a Secret before there is one, then one without the key, then a
// good one, then another: status, rights and volumes follow, and the value is
// nowhere but in its Secret.
func TestAMiddlewareAndItsSecret(t *testing.T) { // M2, K3, O6, O7, O10, C8
	t.Parallel()
	s := newStage(t)
	s.startKubelet()
	log := &lockedBuffer{}
	s.operate(operator.Options{Logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	secret := func(name, key string) {
		s.applyText(strings.NewReplacer("NAME", name, "KEY", key, "HIDDEN", hidden).Replace(people))
	}
	lacks := func(reason, word string) {
		t.Helper()
		s.eventually("it lacks its Secret: "+reason, func() error {
			return firstError(
				s.middlewareIs("login", "Valid", true, ""), s.middlewareIs("login", "Accepted", false, reason),
				s.middlewareSays("login", word), s.routeIs("site", "ResolvedRefs", false, reason),
				s.routeIs("site", "Programmed", false, reason), s.routeReady("open"),
				s.gatewayIs("gateway", "Programmed", true, ""), s.gatewayIs("static", "Programmed", true, ""))
		})
	}
	s.applyText(strings.ReplaceAll(referring, "SECRET", "people"))
	lacks("SecretNotFound", "/people does not exist; create it with ann")
	s.eventually("the sidecar may read it", func() error { return s.sidecarReads("people") })
	s.eventually("the other pods mount it", func() error { return s.mounts("static", "people") })
	secret("people", "bob")
	lacks("SecretInvalid", "has no ann")
	secret("people", "ann")
	good := func() {
		t.Helper()
		s.eventually("all is well", func() error {
			return firstError(s.middlewareIs("login", "Accepted", true, ""), s.routeReady("site"), s.routeReady("open"))
		})
	}
	good()
	secret("staff", "ann")
	s.applyText(strings.ReplaceAll(referring, "SECRET", "staff"))
	s.eventually("the rights follow", func() error { return s.sidecarReads("staff") })
	s.eventually("the mounts follow", func() error { return s.mounts("static", "staff") })
	good()
	for _, kind := range []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("ConfigMap"), corev1.SchemeGroupVersion.WithKind("Pod"), corev1.SchemeGroupVersion.WithKind("Event"),
		appsv1.SchemeGroupVersion.WithKind("Deployment"), rbacv1.SchemeGroupVersion.WithKind("Role"),
		v1alpha1.GroupVersion.WithKind("Gateway"), v1alpha1.GroupVersion.WithKind("Route"), v1alpha1.GroupVersion.WithKind("Middleware"),
	} {
		s.holdsNothingHidden(kind)
	}
	var credentials corev1.Secret
	s.get("static-credentials", &credentials)
	if text := fmt.Sprintf("%s", credentials.Data); strings.Contains(text, hidden) || !strings.Contains(text, "secretKeyRef") {
		t.Errorf("the pods without a sidecar are given %s", text)
	}
	if strings.Contains(log.String(), hidden) {
		t.Error("the log holds the password")
	}
	s.applyText(strings.ReplaceAll(referring, ", middlewares: [login]", ""))
	s.eventually("what nobody uses may not be read", func() error { return s.sidecarReads() })
}

// middlewareSays tells whether a condition of a Middleware holds some words.
func (s *stage) middlewareSays(name, words string) error {
	var m v1alpha1.Middleware
	if err := s.read(name, &m); err != nil {
		return err
	}
	for _, c := range m.Status.Conditions {
		if strings.Contains(c.Message, words) {
			return nil
		}
	}
	return fmt.Errorf("Middleware %s does not say %q: %+v", name, words, m.Status.Conditions)
}

// sidecarReads compares the Secrets that the sidecar may read.
func (s *stage) sidecarReads(want ...string) error {
	var role rbacv1.Role
	if err := s.read("gateway", &role); err != nil {
		return err
	}
	var have []string
	for _, r := range role.Rules {
		if slices.Contains(r.Resources, "secrets") {
			have = append(have, r.ResourceNames...)
		}
	}
	if !slices.Equal(have, want) {
		return fmt.Errorf("it may read %v, not %v", have, want)
	}
	return nil
}

// mounts compares the Secrets of users that the pods of a Gateway mount.
func (s *stage) mounts(gateway string, want ...string) error {
	var d appsv1.Deployment
	if err := s.read(gateway, &d); err != nil {
		return err
	}
	var have []string
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.Secret != nil {
			have = append(have, v.Secret.SecretName)
		}
	}
	if !slices.Equal(have, want) {
		return fmt.Errorf("they mount %v, not %v", have, want)
	}
	return nil
}
