// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
)

const simpleGateway = `
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Gateway
metadata: {name: gateway}
spec: {replicas: 2}
`

const simpleRoute = `
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: site}
spec:
  gateways: [gateway]
  path: /
  target: http://site.default.svc.cluster.local:8080
`

// O1: ten passes without a change write nothing, in each mode.
func TestOperatorWritesNothingInSteadyState(t *testing.T) {
	for name, manifest := range map[string]string{
		"with sidecar":    simpleGateway + "---" + simpleRoute,
		"without sidecar": strings.Replace(simpleGateway, "{replicas: 2}", "{providers: {kubernetes: {enabled: false}}}", 1) + "---" + simpleRoute,
		"with autoscaler and redis": strings.Replace(simpleGateway, "{replicas: 2}",
			"{autoScaling: {enabled: true, targetCPUUtilizationPercentage: 70}, resources: {limits: {cpu: 1500m}}, "+
				"server: {redis: {addr: 'redis:6379', password: changeme}}, service: {type: LoadBalancer, externalTrafficPolicy: Local}}", 1) + "---" + simpleRoute,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.startKubelet()
			s.operate(operator.Options{Resync: 200 * time.Millisecond})
			s.applyText(manifest)
			s.eventually("the Route is ready", func() error { return s.routeReady("site") })
			s.eventually("the Gateway is programmed", func() error { return s.gatewayIs("gateway", "Programmed", true, "") })
			quiet, passes := s.requests.written(), gatewayPasses(t)
			s.eventually("no write in ten passes", func() error {
				if n := s.requests.written(); n != quiet {
					writes := s.requests.since(quiet)
					quiet, passes = n, gatewayPasses(t)
					return fmt.Errorf("written: %v", writes)
				}
				if done := gatewayPasses(t) - passes; done < 10 {
					return fmt.Errorf("%d passes so far", int(done))
				}
				return nil
			})
		})
	}
}

// gatewayPasses counts the passes of all Gateway reconcilers of this process.
func gatewayPasses(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var n float64
	for _, f := range families {
		if f.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "controller" && l.GetValue() == "gateway" {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}

// O1, O2: what others change in our fields is put right, what they add stays.
func TestOperatorPutsItsOwnFieldsRightAndLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.operate(operator.Options{})
	s.applyText(simpleGateway)
	var d appsv1.Deployment
	s.eventually("the Deployment", func() error { return s.read("gateway", &d) })
	before := d.DeepCopy()
	d.Spec.Template.Spec.Containers[0].Image = "somebody/else:1"
	d.Spec.Template.Spec.Containers[0].Env = append(d.Spec.Template.Spec.Containers[0].Env, corev1.EnvVar{Name: "EXTRA", Value: "kept"})
	d.Labels = map[string]string{"app": "gateway"}
	if d.Annotations == nil { // until the Deployment controller adds its own
		d.Annotations = map[string]string{}
	}
	d.Annotations["example.com/note"] = "kept"
	if err := s.client.Patch(t.Context(), &d, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	s.eventually("the image and the labels are put right", func() error {
		var now appsv1.Deployment
		if err := s.read("gateway", &now); err != nil {
			return err
		}
		c := now.Spec.Template.Spec.Containers[0]
		if c.Image != "jkaninda/goma-gateway:latest" || len(now.Labels) != 4 {
			return fmt.Errorf("image %s, labels %v", c.Image, now.Labels)
		}
		if now.Annotations["example.com/note"] != "kept" {
			t.Fatal("the foreign annotation is gone")
		}
		if !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "EXTRA" }) {
			t.Fatal("the foreign variable is gone")
		}
		return nil
	})
	var cm corev1.ConfigMap
	s.get("gateway", &cm)
	if err := s.client.Delete(t.Context(), &cm); err != nil {
		t.Fatal(err)
	}
	s.eventually("a deleted ConfigMap comes back", func() error {
		var again corev1.ConfigMap
		if err := s.read("gateway", &again); err != nil {
			return err
		}
		if again.UID == cm.UID {
			return fmt.Errorf("not deleted yet")
		}
		return nil
	})
}

// O1: a field that is taken out of the Gateway leaves the objects.
func TestAFieldThatLeavesTheGatewayLeavesTheObjects(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.operate(operator.Options{})
	s.applyText(strings.Replace(simpleGateway, "{replicas: 2}",
		"{imagePullSecrets: [{name: pull}], service: {annotations: {example.com/lb: x}}, autoScaling: {enabled: true}, "+
			"server: {redis: {addr: 'redis:6379', password: changeme}}}", 1))
	s.eventually("the objects", func() error {
		return firstError(s.read("gateway", &autoscalingv2.HorizontalPodAutoscaler{}), s.read("gateway-credentials", &corev1.Secret{}))
	})
	s.applyText(strings.Replace(simpleGateway, "{replicas: 2}", "{providers: {kubernetes: {enabled: false}}}", 1))
	s.eventually("what is no longer wanted is gone", func() error {
		var d appsv1.Deployment
		var svc corev1.Service
		if err := firstError(s.read("gateway", &d), s.read("gateway", &svc)); err != nil {
			return err
		}
		if len(d.Spec.Template.Spec.ImagePullSecrets) > 0 || len(svc.Annotations) > 0 || len(d.Spec.Template.Spec.Containers) != 1 {
			return fmt.Errorf("left: %v %v", d.Spec.Template.Spec.ImagePullSecrets, svc.Annotations)
		}
		return firstError(
			s.gone("gateway", &autoscalingv2.HorizontalPodAutoscaler{}),
			s.gone("gateway", &rbacv1.Role{}), s.gone("gateway", &rbacv1.RoleBinding{}),
			s.gone("gateway-credentials", &corev1.Secret{}))
	})
}

// O11: owner references clean up, and a finalizer of earlier releases is taken off.
func TestDeletingAGatewayRemovesEverything(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startKubelet()
	s.operate(operator.Options{})
	s.applyText(strings.Replace(simpleGateway, "{name: gateway}", "{name: gateway, finalizers: [gateway.jkaninda.dev/finalizer]}", 1))
	s.eventually("the finalizer is off and the Gateway runs", func() error {
		var gw v1alpha1.Gateway
		if err := s.read("gateway", &gw); err != nil {
			return err
		}
		if len(gw.Finalizers) > 0 {
			return fmt.Errorf("finalizers %v", gw.Finalizers)
		}
		return s.gatewayIs("gateway", "Programmed", true, "")
	})
	gw := &v1alpha1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "gateway"}}
	if err := s.client.Delete(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	s.eventually("all is gone", func() error {
		var pods corev1.PodList
		if err := s.client.List(t.Context(), &pods, client.InNamespace(s.ns)); err != nil {
			return err
		}
		if len(pods.Items) > 0 {
			return fmt.Errorf("%d pods are left", len(pods.Items))
		}
		return firstError(
			s.gone("gateway", &appsv1.Deployment{}), s.gone("gateway", &corev1.Service{}), s.gone("gateway", &corev1.ConfigMap{}),
			s.gone("gateway", &corev1.ServiceAccount{}), s.gone("gateway", &rbacv1.Role{}), s.gone("gateway", &rbacv1.RoleBinding{}))
	})
}

// O5: an object of the same name that is somebody else's stays as it is, is
// named in a condition, and is replaced by ours once it is out of the way.
func TestOperatorTouchesNoObjectOfOthers(t *testing.T) {
	t.Parallel()
	for _, o := range []client.Object{
		&corev1.ConfigMap{Data: map[string]string{"mine": "1"}},
		&corev1.ServiceAccount{},
		&rbacv1.Role{},
		&corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}}},
		&autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 3,
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "other"}}},
	} {
		t.Run(fmt.Sprintf("%T", o), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			o.SetName("gateway")
			o.SetNamespace(s.ns)
			if err := s.client.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s.operate(operator.Options{Resync: time.Second})
			s.applyText(strings.Replace(simpleGateway, "{replicas: 2}", "{autoScaling: {enabled: true}}", 1))
			s.eventually("the collision is told", func() error { return s.gatewayIs("gateway", "Programmed", false, "Conflict") })
			s.get("gateway", o)
			for _, f := range o.GetManagedFields() {
				if f.Manager == apply.FieldOwner {
					t.Errorf("the operator wrote %v", f)
				}
			}
			if len(o.GetOwnerReferences()) > 0 {
				t.Errorf("the object was adopted: %v", o.GetOwnerReferences())
			}
			if err := s.client.Delete(t.Context(), o, client.Preconditions{UID: new(o.GetUID())}); err != nil {
				t.Fatal(err)
			}
			foreign := o.GetUID()
			s.eventually("ours takes its place", func() error {
				if err := s.read("gateway", o); err != nil {
					return err
				}
				if o.GetUID() == foreign || len(o.GetOwnerReferences()) != 1 {
					return fmt.Errorf("still the foreign one")
				}
				return nil
			})
		})
	}
}

// O8: the pods of yesterday serve on while something new cannot be brought about,
// and the status still tells of them.
func TestACollisionHidesNoPodThatServes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startKubelet()
	s.operate(operator.Options{})
	s.applyText(strings.Replace(simpleGateway, "{replicas: 2}", "{replicas: 2, providers: {kubernetes: {enabled: false}}}", 1))
	s.eventually("it serves", func() error { return s.gatewayIs("gateway", "Programmed", true, "") })
	var before v1alpha1.Gateway
	s.get("gateway", &before)
	foreign := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "gateway"}}
	if err := s.client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	s.applyText(simpleGateway) // with a sidecar, which needs the Role
	s.eventually("the collision", func() error { return s.gatewayIs("gateway", "Programmed", false, "Conflict") })
	var after v1alpha1.Gateway
	s.get("gateway", &after)
	if err := condition(after.Status.Conditions, "Available", metav1.ConditionTrue, ""); err != nil {
		t.Error(err)
	}
	if after.Status.ReadyReplicas != 2 || after.Status.Replicas != 2 || !slices.Equal(after.Status.Addresses, before.Status.Addresses) {
		t.Errorf("the status forgets what serves: %+v, was %+v", after.Status, before.Status)
	}
}

// O3: turning the autoscaler on and off never resets the count to one.
func TestTheReplicaCountChangesHandsWithoutAReset(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.operate(operator.Options{})
	s.applyText(strings.Replace(simpleGateway, "replicas: 2", "replicas: 6", 1))
	s.eventually("six replicas", func() error { return s.replicas(6) })
	lowest := s.watchReplicas()
	autoscaled := strings.Replace(simpleGateway, "{replicas: 2}", "{replicas: 2, autoScaling: {enabled: true, minReplicas: 1, maxReplicas: 10}}", 1)
	s.applyText(autoscaled)
	s.eventually("the operator no longer owns the count", func() error {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
		if err := s.read("gateway", live); err != nil {
			return err
		}
		if apply.Owns(live, "spec", "replicas") {
			return fmt.Errorf("it does")
		}
		return s.replicas(6)
	})
	// An autoscaler at work.
	scale := []byte(`{"spec":{"replicas":7}}`)
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "gateway"}}
	if err := s.client.SubResource("scale").Patch(t.Context(), d, client.RawPatch(types.MergePatchType, scale)); err != nil {
		t.Fatal(err)
	}
	s.applyText(strings.Replace(autoscaled, "maxReplicas: 10", "maxReplicas: 12", 1))
	s.eventually("a change of the Gateway", func() error {
		var hpa autoscalingv2.HorizontalPodAutoscaler
		if err := s.read("gateway", &hpa); err != nil {
			return err
		}
		if hpa.Spec.MaxReplicas != 12 {
			return fmt.Errorf("max %d", hpa.Spec.MaxReplicas)
		}
		return s.replicas(7)
	})
	if n := lowest(); n < 6 {
		t.Errorf("the count fell to %d in between", n)
	}
	s.applyText(simpleGateway)
	s.eventually("the Gateway's own count again", func() error { return s.replicas(2) })
}

func (s *stage) replicas(want int32) error {
	var d appsv1.Deployment
	if err := s.read("gateway", &d); err != nil {
		return err
	}
	if *d.Spec.Replicas != want {
		return fmt.Errorf("%d replicas, want %d", *d.Spec.Replicas, want)
	}
	return nil
}

// O13: a Gateway that cannot be brought about keeps no other from it.
func TestABrokenGatewayHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	foreign := &corev1.ServiceAccount{}
	foreign.SetName("broken")
	foreign.SetNamespace(s.ns)
	if err := s.client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	s.startKubelet()
	s.operate(operator.Options{Resync: time.Second})
	s.applyText(strings.Replace(simpleGateway, "name: gateway", "name: broken", 1))
	s.eventually("the collision is told", func() error { return s.gatewayIs("broken", "Programmed", false, "Conflict") })
	s.applyText(simpleGateway + "---" + simpleRoute)
	s.eventually("the other Gateway serves", func() error {
		return firstError(s.gatewayIs("gateway", "Programmed", true, ""), s.routeReady("site"))
	})
}
