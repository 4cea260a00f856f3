// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator"
)

// O1, O12: what an earlier release made is taken over in place. Its selector,
// which cannot change, stays; what it owned and nobody wants any more goes; an
// object under a former name goes too.
func TestWhatAnEarlierReleaseMadeIsTakenOver(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.applyText(simpleGateway)
	var gw v1alpha1.Gateway
	s.get("gateway", &gw)
	labels := map[string]string{
		"app": "gateway", "app.kubernetes.io/managed-by": "goma-operator", "app.kubernetes.io/part-of": "goma-gateway",
	}
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: s.ns, Name: name, Labels: labels, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "gateway.jkaninda.dev/v1alpha1", Kind: "Gateway", Name: gw.Name, UID: gw.UID, Controller: new(true),
		}}}
	}
	former := &appsv1.Deployment{ObjectMeta: meta("gateway"), Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "gateway"}},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{"goma.jkaninda.dev/restarted-at": "then"}},
			Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Name: "goma-gateway", Image: "former:1", Env: []corev1.EnvVar{{Name: "FORMER", Value: "1"}}}},
				Volumes:    []corev1.Volume{{Name: "former", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
			},
		},
	}}
	for _, o := range []client.Object{former, &corev1.ConfigMap{ObjectMeta: meta("gateway-goma-config")}} {
		if err := s.client.Create(t.Context(), o, client.FieldOwner("manager")); err != nil {
			t.Fatal(err)
		}
	}
	s.operate(operator.Options{})
	s.eventually("the Deployment is ours", func() error {
		var d appsv1.Deployment
		if err := s.read("gateway", &d); err != nil {
			return err
		}
		if d.UID != former.UID {
			t.Fatal("the Deployment was replaced")
		}
		pod := d.Spec.Template
		if len(d.Spec.Selector.MatchLabels) != 1 || pod.Labels["gateway.jkaninda.dev/gateway"] != "gateway" {
			return fmt.Errorf("selector %v, pod labels %v", d.Spec.Selector.MatchLabels, pod.Labels)
		}
		left := fmt.Sprint(pod.Spec.Volumes, pod.Spec.Containers[0].Env, pod.Annotations)
		if strings.Contains(strings.ToLower(left), "former") || strings.Contains(left, "restarted-at") || pod.Spec.Containers[0].Image == "former:1" {
			return fmt.Errorf("left from before: %s", left)
		}
		return nil
	})
	s.eventually("the former ConfigMap is gone", func() error { return s.gone("gateway-goma-config", &corev1.ConfigMap{}) })
}

// O2: a Service field that the API server refuses is told once, not for ever.
func TestARefusedFieldIsACondition(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startKubelet()
	s.operate(operator.Options{})
	with := func(class string) string {
		return strings.Replace(simpleGateway, "{replicas: 2}", "{service: {type: LoadBalancer, loadBalancerClass: "+class+"}}", 1)
	}
	s.applyText(with("example.com/one"))
	s.eventually("the Gateway", func() error { return s.gatewayIs("gateway", "Programmed", true, "") })
	s.applyText(with("example.com/two"))
	s.eventually("the refusal", func() error { return s.gatewayIs("gateway", "Programmed", false, "Rejected") })
	tries := s.requests.matching("PATCH", "/services/gateway")
	s.applyText(simpleRoute)
	s.eventually("the rest goes on", func() error { return s.routeReady("site") })
	if n := s.requests.matching("PATCH", "/services/gateway") - tries; n > 10 {
		t.Errorf("%d tries while nothing about the Service changed", n)
	}
	s.applyText(with("example.com/one"))
	s.eventually("the Gateway again", func() error { return s.gatewayIs("gateway", "Programmed", true, "") })
}

// O2: what others put into the Service stays over every change of its type.
func TestTheServiceKeepsWhatOthersPutThere(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.operate(operator.Options{})
	with := func(kind string) string {
		return strings.Replace(simpleGateway, "{replicas: 2}", "{service: {type: "+kind+", externalTrafficPolicy: Local}}", 1)
	}
	s.applyText(with("LoadBalancer"))
	var svc corev1.Service
	s.eventually("the Service", func() error { return s.read("gateway", &svc) })
	before := svc.DeepCopy()
	svc.Annotations = map[string]string{"cloud.example.com/id": "lb-1"}
	svc.Finalizers = []string{"service.kubernetes.io/load-balancer-cleanup"}
	if err := s.client.Patch(t.Context(), &svc, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	ip, ports := svc.Spec.ClusterIP, svc.Spec.Ports
	s.applyText(strings.Replace(with("LoadBalancer"), "Local", "Cluster", 1))
	s.eventually("the change", func() error {
		if err := s.read("gateway", &svc); err != nil {
			return err
		}
		if svc.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyCluster {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if svc.Annotations["cloud.example.com/id"] != "lb-1" || len(svc.Finalizers) != 1 || svc.Spec.ClusterIP != ip ||
		svc.Spec.Ports[0].NodePort != ports[0].NodePort || svc.Spec.Ports[1].NodePort != ports[1].NodePort {
		t.Errorf("lost: %v %v %v %v", svc.Annotations, svc.Finalizers, svc.Spec.ClusterIP, svc.Spec.Ports)
	}
	s.applyText(with("ClusterIP"))
	s.eventually("an inner Service", func() error {
		if err := s.read("gateway", &svc); err != nil {
			return err
		}
		if svc.Spec.Type != corev1.ServiceTypeClusterIP || svc.Spec.ClusterIP != ip {
			return fmt.Errorf("type %s", svc.Spec.Type)
		}
		return nil
	})
	// The cloud controller that would take it off is not here.
	before = svc.DeepCopy()
	svc.Finalizers = nil
	if err := s.client.Patch(t.Context(), &svc, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}
