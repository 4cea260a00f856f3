// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

// Ports of the Service when the Gateway names none.
const (
	defaultHTTPPort  = 8080
	defaultHTTPSPort = 8443
)

// service sends the fields of a type only for that type: what the API server
// or a cloud controller filled in for another is left alone.
func service(gw *v1alpha1.Gateway) *corev1.Service {
	w := gw.Spec.Service
	if w == nil {
		w = &v1alpha1.Service{}
	}
	svc := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: serviceMeta(gw, w),
		Spec: corev1.ServiceSpec{
			Type:            serviceType(w),
			Selector:        selector(gw.Name),
			SessionAffinity: w.SessionAffinity,
			IPFamilyPolicy:  w.IPFamilyPolicy,
			IPFamilies:      w.IPFamilies,
			Ports: []corev1.ServicePort{
				servicePort(portHTTP, w.HTTPPort, defaultHTTPPort),
				servicePort(portHTTPS, w.HTTPSPort, defaultHTTPSPort),
			},
		},
	}
	if serviceType(w) != corev1.ServiceTypeClusterIP {
		svc.Spec.ExternalTrafficPolicy = w.ExternalTrafficPolicy
		svc.Spec.Ports[0].NodePort = w.HTTPNodePort
		svc.Spec.Ports[1].NodePort = w.HTTPSNodePort
	}
	if serviceType(w) == corev1.ServiceTypeLoadBalancer {
		svc.Spec.LoadBalancerIP = w.LoadBalancerIP
		svc.Spec.LoadBalancerSourceRanges = w.LoadBalancerSourceRanges
		svc.Spec.LoadBalancerClass = w.LoadBalancerClass
	}
	return svc
}

// serviceMeta merges the user's labels and annotations. The user's labels win,
// but for the two by which the operator finds the Service again.
func serviceMeta(gw *v1alpha1.Gateway, w *v1alpha1.Service) metav1.ObjectMeta {
	m := meta(gw)
	maps.Copy(m.Labels, w.Labels)
	m.Labels[LabelManagedBy] = ManagedBy
	m.Labels[LabelGateway] = gw.Name
	m.Annotations = maps.Clone(w.Annotations)
	return m
}

func serviceType(w *v1alpha1.Service) corev1.ServiceType {
	if w.Type == "" {
		return corev1.ServiceTypeClusterIP
	}
	return w.Type
}

func servicePort(name string, port, fallback int32) corev1.ServicePort {
	if port == 0 {
		port = fallback
	}
	return corev1.ServicePort{
		Name: name, Port: port, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString(name),
	}
}
