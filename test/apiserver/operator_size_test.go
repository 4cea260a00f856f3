// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator"
)

const staticEdge = `
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Middleware
metadata: {name: edge}
spec: {type: requestHeaders, rule: {setHeaders: {X-Edge: goma}}}
`

// Z2, O4: a configuration that does not fit is told, and nothing of it reaches the
// pods: neither those that run nor those that start in their place. When it fits
// again it does.
func TestAConfigurationThatIsTooLargeIsTold(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]func(s *stage, i int) []client.Object{
		"routes":      largeRoute,
		"middlewares": largeMiddleware,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.startKubelet()
			s.operate(operator.Options{})
			s.applyText(strings.Replace(simpleGateway, "{replicas: 2}", "{providers: {kubernetes: {enabled: false}}}", 1) +
				"---" + simpleRoute + "  middlewares: [edge]\n---" + staticEdge)
			s.eventually("the Route is live by a rollout", func() error { return s.routeReady("site") })
			var large []client.Object
			for i := range 20 {
				large = append(large, add(s, i)...)
			}
			for _, o := range large {
				if err := s.client.Create(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			s.eventually("the condition", func() error { return s.gatewayIs("gateway", "ConfigSynced", false, "ConfigTooLarge") })
			before := s.mounted()
			s.applyText(strings.Replace(staticEdge, "name: edge", "name: later", 1) + "---" +
				strings.NewReplacer("name: site", "name: later", "path: /", "path: /later").Replace(simpleRoute) + "  middlewares: [later]\n")
			s.eventually("a pass over all of them", func() error {
				var gw v1alpha1.Gateway
				if err := s.read("gateway", &gw); err != nil {
					return err
				}
				if gw.Status.Routes != 22 {
					return fmt.Errorf("%d routes, want 22", gw.Status.Routes)
				}
				return nil
			})
			for _, err := range []error{
				s.gatewayIs("gateway", "ConfigSynced", false, "ConfigTooLarge"), s.gatewayIs("gateway", "Programmed", false, "ConfigTooLarge"),
				s.gatewayIs("gateway", "Available", true, ""),
			} {
				if err != nil {
					t.Error(err)
				}
			}
			if now := s.mounted(); !maps.Equal(now, before) {
				t.Errorf("of what the pods have, this changed: %v, was %v", now, before)
			}
			if err := s.routeReady("site"); err != nil {
				t.Errorf("a Route that serves: %v", err)
			}
			for _, o := range large {
				if err := s.client.Delete(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			s.eventually("it fits again", func() error {
				return firstError(s.gatewayIs("gateway", "ConfigSynced", true, ""), s.routeReady("later"), s.routeReady("site"))
			})
		})
	}
}

// mounted gives all that the pods of the Gateway read, and what rolls them.
func (s *stage) mounted() map[string]string {
	s.t.Helper()
	var cm corev1.ConfigMap
	var secret corev1.Secret
	var d appsv1.Deployment
	s.get("gateway", &cm)
	s.get("gateway-credentials", &secret)
	s.get("gateway", &d)
	out := maps.Clone(cm.Data)
	for key, value := range secret.Data {
		out[key] = string(value)
	}
	template, err := json.Marshal(d.Spec.Template)
	if err != nil {
		s.t.Fatal(err)
	}
	out["template"] = string(template)
	return out
}

func largeRoute(s *stage, i int) []client.Object {
	return []client.Object{&v1alpha1.Route{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: fmt.Sprintf("large-%d", i)},
		Spec: v1alpha1.RouteSpec{
			Gateways: []string{"gateway"}, Path: fmt.Sprintf("/large/%d", i), Target: "http://large:1",
			Maintenance: &v1alpha1.Maintenance{Enabled: true, Body: strings.Repeat("x", 60<<10)},
		},
	}}
}

// largeMiddleware comes with the Route that brings it into the configuration.
func largeMiddleware(s *stage, i int) []client.Object {
	name := fmt.Sprintf("large-%d", i)
	rule := fmt.Sprintf(`{"setHeaders":{"X-Large":%q}}`, strings.Repeat("x", 60<<10))
	return []client.Object{
		&v1alpha1.Middleware{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name},
			Spec:       v1alpha1.MiddlewareSpec{Type: "requestHeaders", Rule: &apiextensionsv1.JSON{Raw: []byte(rule)}},
		},
		&v1alpha1.Route{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name},
			Spec: v1alpha1.RouteSpec{
				Gateways: []string{"gateway"}, Path: "/" + name, Target: "http://large:1", Middlewares: []string{name},
			},
		},
	}
}
