// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
)

func acmeGateway() *v1alpha1.Gateway {
	return &v1alpha1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: "edge", Namespace: "shop", UID: "1"},
		Spec:       v1alpha1.GatewaySpec{CertManager: &v1alpha1.CertManager{ACME: &v1alpha1.ACME{Email: "ops@example.com"}}},
	}
}

// What the sidecar may write is what is made for it, and the operator owns nothing of
// what is in it.
func TestTheStoreIsMadeAndGrantedByName(t *testing.T) { // O6
	t.Parallel()
	gw := acmeGateway()
	made := map[string][]string{}
	for _, o := range stack.Store(gw) {
		kind := o.GetObjectKind().GroupVersionKind().Kind
		made[kind] = append(made[kind], o.GetName())
		if !metav1.IsControlledBy(o, gw) || o.GetNamespace() != "shop" || !strings.HasPrefix(o.GetName(), "edge-acme-") {
			t.Errorf("%s %s is not the Gateway's", kind, o.GetName())
		}
		want, err := apply.Desired(o)
		if err != nil {
			t.Fatal(err)
		}
		for field := range want.Object {
			if field != "apiVersion" && field != "kind" && field != "metadata" {
				t.Errorf("%s %s: the operator would own %s", kind, o.GetName(), field)
			}
		}
	}
	granted := map[string][]string{}
	for _, rule := range stack.Build(stack.Input{Gateway: gw}).Role.Rules {
		switch {
		case slices.Contains(rule.Verbs, "patch") && slices.Contains(rule.Resources, "secrets"):
			granted["Secret"] = rule.ResourceNames
		case slices.Contains(rule.Resources, "leases"):
			granted["Lease"] = rule.ResourceNames
		}
		if slices.Contains(rule.Verbs, "create") || slices.Contains(rule.Verbs, "*") || slices.Contains(rule.Verbs, "delete") {
			t.Errorf("the sidecar may %v %v", rule.Verbs, rule.Resources)
		}
	}
	for _, kind := range []string{"Secret", "Lease"} {
		if len(made[kind]) == 0 || !slices.Equal(made[kind], granted[kind]) {
			t.Errorf("%ss: made %v, granted %v", kind, made[kind], granted[kind])
		}
	}
}

func TestThereIsNoStoreWhereCertificatesAreKeptElsewhere(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*v1alpha1.Gateway){
		"no certificate manager": func(gw *v1alpha1.Gateway) { gw.Spec.CertManager = nil },
		"Redis": func(gw *v1alpha1.Gateway) {
			gw.Spec.Server = &v1alpha1.Server{Redis: &v1alpha1.Redis{Addr: "redis:6379"}}
		},
		"no sidecar": func(gw *v1alpha1.Gateway) {
			gw.Spec.Providers = &v1alpha1.Providers{Kubernetes: &v1alpha1.KubernetesProvider{Enabled: new(false)}}
		},
	} {
		gw := acmeGateway()
		change(gw)
		if n := len(stack.Store(gw)); n != 0 {
			t.Errorf("%s: %d objects", name, n)
		}
		s := stack.Build(stack.Input{Gateway: gw})
		if s.Role != nil && strings.Contains(s.Role.String(), "leases") {
			t.Errorf("%s: the sidecar may write Leases", name)
		}
		for _, c := range s.Deployment.Spec.Template.Spec.Containers {
			if slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return strings.Contains(e.Name, "STORE_SOCKET") }) {
				t.Errorf("%s: container %s is sent to a store", name, c.Name)
			}
		}
	}
}
