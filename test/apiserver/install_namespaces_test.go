// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator"
	"gateway.jkaninda.dev/goma/internal/tools/promnames"
)

const tenantAccount = "goma-goma-operator-controller-manager"

// installTenant applies the rights that the chart gives an operator for the
// namespace of the stage, whose account is in the namespace home.
func (s *stage) installTenant(home string) {
	s.t.Helper()
	text, err := os.ReadFile("../../internal/tools/helm/testdata/tenant.golden.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	manifest := strings.NewReplacer("namespace: platform", "namespace: "+home, "namespace: team-a", "namespace: "+s.ns).Replace(string(text))
	for _, o := range s.decode(manifest) {
		manager := strings.HasSuffix(o.GetName(), "-manager-role") || strings.HasSuffix(o.GetName(), "-manager-rolebinding")
		rights := o.GetKind() == "ServiceAccount" || o.GetKind() == "Role" || o.GetKind() == "RoleBinding"
		if !rights || s.ns != home && !manager {
			continue
		}
		if err := s.apply(o); err != nil {
			s.t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

// tenantConfig speaks to the API server as the account that the chart makes.
func (s *stage) tenantConfig() *rest.Config {
	s.t.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: tenantAccount}}
	request := &authenticationv1.TokenRequest{}
	if err := s.client.SubResource("token").Create(s.t.Context(), sa, request); err != nil {
		s.t.Fatal(err)
	}
	cfg := rest.AnonymousClientConfig(s.cfg)
	cfg.BearerToken = request.Status.Token
	cfg.QPS, cfg.Burst = 100, 200
	return cfg
}

// O6: an operator for two namespaces, without escalate and bind and without any right
// in the cluster, does all its work there, and can do nothing elsewhere.
func TestAnOperatorForNamespacesHasNoRightsElsewhere(t *testing.T) {
	t.Parallel()
	first, second, other := newStage(t), newStage(t), newStage(t)
	first.startKubelet()
	second.startKubelet()
	first.installTenant(first.ns)
	second.installTenant(first.ns)
	metrics := freeAddress(t)
	first.run(first.tenantConfig(), operator.Options{
		Namespaces: []string{first.ns, second.ns}, LeaderElection: true, LeaderNamespace: first.ns,
		MetricsAddress: metrics, MetricsInsecure: true,
	})
	other.applyText(simpleGateway)
	for _, s := range []*stage{first, second} {
		s.applyText(strings.Replace(simpleGateway, "{replicas: 2}",
			"{certManager: {acme: {email: ops@example.com}}, server: {redis: {addr: 'redis:6379', password: changeme}}}", 1) +
			"---" + strings.Replace(simpleRoute, "path: /", "path: /\n  hosts: [site.example.com]\n  tls: {secretName: site-tls}", 1) +
			"\n---\n" + tlsManifest(t, "site-tls"))
		s.eventually("all is ready in "+s.ns, func() error {
			return firstError(s.routeReady("site"), s.gatewayIs("gateway", "Programmed", true, ""))
		})
	}
	var ignored v1alpha1.Gateway
	other.get("gateway", &ignored)
	if len(ignored.Status.Conditions) > 0 {
		t.Errorf("the operator looks after a Gateway elsewhere: %v", ignored.Status.Conditions)
	}
	account := "system:serviceaccount:" + first.ns + ":" + tenantAccount
	for _, resource := range []string{"secrets", "configmaps", "pods"} {
		for _, verb := range []string{"get", "list", "watch", "create"} {
			other.may(account, verb, "", resource, "", false)
		}
	}
	for _, s := range []*stage{first, other} {
		s.may(account, "escalate", "rbac.authorization.k8s.io", "roles", "", false)
		s.may(account, "bind", "rbac.authorization.k8s.io", "roles", "", false)
	}
	other.may(account, "list", "gateway.jkaninda.dev", "gateways", "", false)
	first.hasShippedMetrics(metrics)
}

// hasShippedMetrics checks that the operator has what the alerts and the dashboard ask for.
func (s *stage) hasShippedMetrics(address string) {
	s.t.Helper()
	names, err := promnames.Shipped()
	if err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the metrics of the operator", func() error {
		resp, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			return err
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if missing := promnames.Missing(names, promnames.Operator, string(text)); err != nil || len(missing) > 0 {
			return fmt.Errorf("the operator has no %v, %v", missing, err)
		}
		return nil
	})
}
