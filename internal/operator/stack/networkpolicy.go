// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// networkPolicy bounds who may open connections to the pods. A rule without peers
// would admit everybody, so the internal ports have a rule only with peers. The
// node's own probes are let through by every network.
func networkPolicy(in Input) *networkingv1.NetworkPolicy {
	wish := in.Gateway.Spec.NetworkPolicy
	if wish == nil || !wish.Enabled {
		return nil
	}
	rules := []networkingv1.NetworkPolicyIngressRule{{From: wish.From, Ports: tcp(portHTTP, portHTTPS)}}
	if len(wish.AdminFrom) > 0 {
		rules = append(rules, networkingv1.NetworkPolicyIngressRule{From: wish.AdminFrom, Ports: tcp(internalPorts(in.Gateway)...)})
	}
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: meta(in.Gateway),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: deploymentSelector(in)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     rules,
		},
	}
}

func internalPorts(gw *v1alpha1.Gateway) []string {
	if translate.SidecarEnabled(gw) {
		return []string{portAdmin, portSidecar}
	}
	return []string{portAdmin}
}

func tcp(ports ...string) []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for _, port := range ports {
		out = append(out, networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromString(port))})
	}
	return out
}
