// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/translate"
)

const canary = "c4n4ry-s3cret"

// O7, C8: whatever a user spells out, with a sidecar or without, is in Secrets and
// nowhere else.
func TestNoSecretIsOutsideOfSecrets(t *testing.T) {
	t.Parallel()
	for name, sidecar := range map[string]bool{"with a sidecar": true, "without a sidecar": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gw := &v1alpha1.Gateway{
				ObjectMeta: metav1.ObjectMeta{Name: "gateway", Namespace: "default", UID: "1"},
				Spec: v1alpha1.GatewaySpec{
					Server: &v1alpha1.Server{
						Redis:  &v1alpha1.Redis{Addr: "redis:6379", Password: canary},
						Reload: &v1alpha1.Reload{Enabled: true, Token: canary},
					},
					Providers: &v1alpha1.Providers{Kubernetes: &v1alpha1.KubernetesProvider{Enabled: &sidecar}},
				},
			}
			in := translate.Input{
				Gateway: client.ObjectKeyFromObject(gw), Paths: translate.RouteCerts(gw),
				Routes: []*v1alpha1.Route{{
					ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "default"},
					Spec: v1alpha1.RouteSpec{
						Path: "/", Target: "http://shop:8080", Gateways: []string{"gateway"}, Middlewares: []string{"login"},
					},
				}},
				Middlewares: []*v1alpha1.Middleware{{
					ObjectMeta: metav1.ObjectMeta{Name: "login", Namespace: "default"},
					Spec: v1alpha1.MiddlewareSpec{
						Type: "basicAuth", Rule: &apiextensionsv1.JSON{Raw: []byte(`{"users":["ann:` + canary + `"]}`)},
					},
				}},
			}
			out := translate.Bundle(in)
			file, _ := translate.Gateway(gw, translate.GatewayOptions{Bundle: out.Bundle})
			cfg, err := stack.NewConfig(gw, file)
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, o := range stack.Build(stack.Input{Gateway: gw, Config: cfg}).Objects() {
				text, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				if s, ok := o.(*corev1.Secret); ok {
					for _, value := range s.Data {
						found += strings.Count(string(value), canary)
					}
					continue
				}
				if strings.Contains(string(text), canary) {
					t.Errorf("a secret is in %s", text)
				}
			}
			want := 2 // the password and the token
			if !sidecar {
				want++ // the rule
			}
			if found != want {
				t.Errorf("the Secret holds %d of %d secrets", found, want)
			}
		})
	}
}
