// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/internal/operator"
)

const (
	operatorNamespace = "goma-operator-system"
	operatorAccount   = "goma-operator-controller-manager"
)

// O6: with the rights of install.yaml, and no others, the operator does all
// its work; it cannot list Secrets, and what escalate and bind would allow
// beyond that work is refused.
func TestTheOperatorsRightsSufficeAndGoNoFurther(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startKubelet()
	s.installRights()
	cfg := s.accountConfig()
	metrics := freeAddress(t)
	s.run(cfg, operator.Options{
		Namespace: s.ns, LeaderElection: true, LeaderNamespace: operatorNamespace, MetricsAddress: metrics,
	})
	s.applyText(strings.Replace(simpleGateway, "{replicas: 2}",
		"{autoScaling: {enabled: true}, server: {redis: {addr: 'redis:6379', password: changeme}, tls: [{secretName: site-tls}]}}", 1) +
		"---" + strings.Replace(simpleRoute, "path: /", "path: /\n  hosts: [site.example.com]\n  tls: {secretName: site-tls}", 1) +
		"\n---\n" + tlsManifest(t, "site-tls"))
	s.eventually("all is ready", func() error {
		return firstError(s.routeReady("site"), s.gatewayIs("gateway", "Programmed", true, ""))
	})
	s.applyText(simpleGateway)
	s.eventually("what is not wanted any more is deleted", func() error { return s.gone("gateway-credentials", &corev1.Secret{}) })

	account := "system:serviceaccount:" + operatorNamespace + ":" + operatorAccount
	for _, verb := range []string{"list", "watch", "update"} {
		s.may(account, verb, "", "secrets", "", false)
	}
	sidecar := "system:serviceaccount:" + s.ns + ":gateway"
	s.may(sidecar, "watch", "", "secrets", "site-tls", true)
	s.may(sidecar, "get", "", "secrets", "gateway-credentials", false)
	s.may(sidecar, "list", "", "secrets", "", false)
	s.may(sidecar, "list", "gateway.jkaninda.dev", "routes", "", true)
	s.may(sidecar, "get", "gateway.jkaninda.dev", "gateways", "other", false)
	var pods corev1.PodList
	if err := s.client.List(t.Context(), &pods, client.InNamespace(s.ns)); err != nil || len(pods.Items) == 0 {
		t.Fatalf("pods: %v", err)
	}
	s.may(sidecar, "patch", "", "pods", pods.Items[0].Name, true)
	s.may(sidecar, "patch", "", "pods", "other", false)
	s.refused(cfg)
	s.guarded(metrics)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// token makes an account in the namespace of the stage and gives its token.
func (s *stage) token(account string) string {
	s.t.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: account}}
	if err := s.client.Create(s.t.Context(), sa); err != nil {
		s.t.Fatal(err)
	}
	request := &authenticationv1.TokenRequest{}
	if err := s.client.SubResource("token").Create(s.t.Context(), sa, request); err != nil {
		s.t.Fatal(err)
	}
	return request.Status.Token
}

// guarded checks that metrics are for those who may get them, and nobody else (O14).
func (s *stage) guarded(address string) {
	s.t.Helper()
	stranger, reader := s.token("stranger"), s.token("prometheus")
	// The operator makes its own certificate; who it is does not matter here.
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	status := func(token string) (int, error) {
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "https://"+address+"/metrics", nil)
		if err != nil {
			return 0, err
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := web.Do(r)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	for token, want := range map[string]int{"": http.StatusUnauthorized, stranger: http.StatusForbidden} {
		if code, err := status(token); err != nil || code != want {
			s.t.Errorf("metrics with token %t: %d, %v; want %d", token != "", code, err, want)
		}
	}
	may := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.ns + "-metrics"},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "goma-operator-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "prometheus", Namespace: s.ns}},
	}
	if err := s.client.Create(s.t.Context(), may); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := s.client.Delete(context.Background(), may); err != nil {
			s.t.Error(err)
		}
	})
	s.eventually("metrics for who may get them", func() error {
		if code, err := status(reader); err != nil || code != http.StatusOK {
			return fmt.Errorf("%d, %w", code, err)
		}
		return nil
	})
}

// installRights applies what install.yaml holds, but for the definitions and what runs.
func (s *stage) installRights() {
	s.t.Helper()
	for _, file := range []string{"namespace.yaml", "operator.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "kustomize", "base", file))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, o := range s.decode(string(text)) {
			if o.GetKind() == "Deployment" || o.GetKind() == "Service" || o.GetKind() == "PodDisruptionBudget" {
				continue
			}
			if o.GetNamespace() != "" {
				o.SetNamespace(operatorNamespace)
			}
			if err := s.apply(o); err != nil {
				s.t.Fatalf("%s: %s %s: %v", file, o.GetKind(), o.GetName(), err)
			}
		}
	}
}

// accountConfig speaks to the API server as the operator's account.
func (s *stage) accountConfig() *rest.Config {
	s.t.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: operatorAccount}}
	request := &authenticationv1.TokenRequest{}
	if err := s.client.SubResource("token").Create(s.t.Context(), sa, request); err != nil {
		s.t.Fatal(err)
	}
	cfg := rest.AnonymousClientConfig(s.cfg)
	cfg.BearerToken = request.Status.Token
	cfg.QPS, cfg.Burst = 100, 200
	return cfg
}

// may checks what an account may do in the namespace of the stage.
func (s *stage) may(user, verb, group, resource, name string, want bool) {
	s.t.Helper()
	check := func() (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, Groups: []string{"system:serviceaccounts", "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: s.ns, Verb: verb, Group: group, Resource: resource, Name: name,
			},
		}}
		err := s.client.Create(s.t.Context(), review)
		return review.Status.Allowed, err
	}
	s.eventually(fmt.Sprintf("%s may %s %s %q: %v", user, verb, resource, name, want), func() error {
		allowed, err := check()
		if err == nil && allowed != want {
			err = fmt.Errorf("allowed: %v", allowed)
		}
		return err
	})
}

// refused tries what a stolen token of the operator would be used for.
func (s *stage) refused(cfg *rest.Config) {
	s.t.Helper()
	thief, err := client.New(cfg, client.Options{Scheme: s.client.Scheme()})
	if err != nil {
		s.t.Fatal(err)
	}
	meta := metav1.ObjectMeta{Namespace: s.ns, Name: "grab"}
	secrets := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list"}}
	named := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"*"}, ResourceNames: []string{"x"}}
	writes := func(name string) []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"patch"}, ResourceNames: []string{name}}}
	}
	for what, o := range map[string]client.Object{
		"a Role that writes a Secret":            &rbacv1.Role{ObjectMeta: meta, Rules: writes("x")},
		"a Role that writes another one's store": &rbacv1.Role{ObjectMeta: meta, Rules: writes("gateway-acme-0")},
		"a Role on all Secrets":                  &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{secrets}},
		"a Role with all verbs":                  &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{named}},
		"a binding of a ClusterRole":             binding(meta, "ClusterRole", "cluster-admin", "grab"),
		"a binding to somebody else":             binding(meta, "Role", "grab", "default"),
		"a binding of somebody else's":           binding(meta, "Role", "gateway", "grab"),
		"a binding to a group of accounts": &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "grab"},
			Subjects: []rbacv1.Subject{{Kind: "Group", Name: "system:authenticated"}}},
	} {
		// A policy takes a moment until it is in force.
		s.eventually(what+" is refused", func() error {
			err := thief.Create(s.t.Context(), o.DeepCopyObject().(client.Object))
			if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
				return nil
			}
			if err == nil {
				_ = s.client.Delete(s.t.Context(), o)
			}
			return fmt.Errorf("the API server said %w", err)
		})
	}
}

func binding(meta metav1.ObjectMeta, kind, role, account string) client.Object {
	return &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: kind, Name: role},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: meta.Namespace}},
	}
}
