// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/certstore/secrets"
	"gateway.jkaninda.dev/goma/internal/translate"
)

func serviceAccount(gw *v1alpha1.Gateway) *corev1.ServiceAccount {
	m := meta(gw)
	if a := gw.Spec.ServiceAccount; a != nil {
		m.Annotations = maps.Clone(a.Annotations)
	}
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   m,
		AutomountServiceAccountToken: new(false),
	}
}

// role is what the sidecar may do: read the routes and middlewares of its
// namespace, its own Gateway, the Secrets that its Routes and their Middlewares name,
// write its own pods' annotations, and keep obtained certificates in the objects that are
// made for them. Whatever can be named is named. O6
func role(in Input) *rbacv1.Role {
	group := v1alpha1.GroupVersion.Group
	read := []string{"get", "list", "watch"}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{group}, Resources: []string{"middlewares", "routes"}, Verbs: read},
		{APIGroups: []string{group}, Resources: []string{"gateways"}, ResourceNames: []string{in.Gateway.Name}, Verbs: read},
	}
	// Without names a rule would grant every object of the kind.
	if names := unique(in.RouteSecrets); len(names) > 0 {
		rules = append(rules, rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: names, Verbs: read})
	}
	if names := unique(in.Pods); len(names) > 0 {
		rules = append(rules, rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: names, Verbs: []string{"get", "patch"}})
	}
	if translate.SharedStore(in.Gateway) {
		rules = append(rules,
			rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"},
				ResourceNames: secrets.SecretNames(in.Gateway.Name), Verbs: append(read, "patch")},
			rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"},
				ResourceNames: secrets.LeaseNames(in.Gateway.Name), Verbs: []string{"get", "update"}})
	}
	return &rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"},
		ObjectMeta: meta(in.Gateway),
		Rules:      rules,
	}
}

func roleBinding(gw *v1alpha1.Gateway) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"},
		ObjectMeta: meta(gw),
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: gw.Name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: gw.Name, Namespace: gw.Namespace}},
	}
}

// unique sorts names and drops doubles, leaving the argument as it is.
func unique(names []string) []string {
	out := slices.Clone(names)
	slices.Sort(out)
	return slices.Compact(out)
}
