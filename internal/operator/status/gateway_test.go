// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
)

func deployment(change func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Generation: 2},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(3))},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: 3},
	}
	if change != nil {
		change(d)
	}
	return d
}

func TestGatewayConditions(t *testing.T) {
	t.Parallel()
	gw := &v1alpha1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "gateway", Generation: 7}}
	for name, c := range map[string]struct {
		facts      GatewayFacts
		conditions string
		message    string
	}{
		"all is well": {
			facts:      GatewayFacts{Deployment: deployment(nil), Current: 3, Ready: 3, Routes: 5, Middlewares: 2},
			conditions: "Accepted=Accepted ResolvedRefs=ResolvedRefs Available=DeploymentStatus ConfigSynced=ConfigGenerated Programmed=Programmed",
			message:    "5 routes, 2 middlewares",
		},
		"a pod is behind": {
			facts:      GatewayFacts{Deployment: deployment(nil), Current: 2, Ready: 3},
			conditions: "-ConfigSynced=Pending Programmed=Programmed", message: "2 of 3",
		},
		"the rollout is under way": {
			facts:      GatewayFacts{Deployment: deployment(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 }), Ready: 3, Current: 3},
			conditions: "Available=DeploymentStatus -Programmed=RollingOut", message: "1 of 3 pods are up to date",
		},
		"the Deployment has not been looked at": {
			facts:      GatewayFacts{Deployment: deployment(func(d *appsv1.Deployment) { d.Generation = 3 })},
			conditions: "-Programmed=RollingOut",
		},
		"no pod is ready, and why": {
			facts: GatewayFacts{Deployment: deployment(func(d *appsv1.Deployment) { d.Status.ReadyReplicas = 0 }),
				Trouble: "Pod gateway-1, container goma-gateway: ImagePullBackOff"},
			conditions: "-Available=DeploymentStatus -ConfigSynced=NoReadyPods -Programmed=RollingOut", message: "ImagePullBackOff",
		},
		"scaled to nothing": {
			facts: GatewayFacts{Deployment: deployment(func(d *appsv1.Deployment) {
				d.Spec.Replicas = new(int32(0))
				d.Status = appsv1.DeploymentStatus{ObservedGeneration: 2}
			})},
			conditions: "-Available=DeploymentStatus -Programmed=NoReadyPods", message: "0/0 replicas ready",
		},
		"nothing is there yet": {facts: GatewayFacts{}, conditions: "-Available=DeploymentStatus -Programmed=Pending"},
		"a name is taken": {
			facts:      GatewayFacts{Failures: []error{&apply.CollisionError{Kind: "ConfigMap", Namespace: "default", Name: "gateway"}}},
			conditions: "-Programmed=Conflict", message: "ConfigMap default/gateway",
		},
		"the API server refuses": {
			facts:      GatewayFacts{Failures: []error{fmt.Errorf("service: %w", &apply.RejectedError{Kind: "Service", Name: "gateway", Err: errors.New("immutable")})}},
			conditions: "-Programmed=Rejected", message: "immutable",
		},
		"the API server fails": {
			facts: GatewayFacts{Failures: []error{errors.New("timeout")}}, conditions: "-Programmed=ApplyFailed", message: "timeout",
		},
		"goma.yml is too large": {
			facts:      GatewayFacts{ConfigTooLarge: "too large", Deployment: deployment(nil), Ready: 3, Current: 3},
			conditions: "-ConfigSynced=ConfigTooLarge -Programmed=ConfigTooLarge Available=DeploymentStatus",
		},
		"a wish that cannot be fulfilled": {
			facts: GatewayFacts{Deployment: deployment(nil), Spec: []config.Problem{{
				Field: "spec.providers.http.enabled", Reason: config.ReasonUnsupported, Message: "not in this build"}}},
			conditions: "-Accepted=Unsupported Programmed=Programmed", message: "spec.providers.http.enabled",
		},
		"a Secret is missing": {
			facts:      GatewayFacts{Refs: []config.Problem{{Reason: config.ReasonSecretNotFound, Message: "Secret default/tls"}}},
			conditions: "-ResolvedRefs=SecretNotFound", message: "Secret default/tls",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.facts.Gateway = gw
			s := Gateway(c.facts)
			expectConditions(t, s.Conditions, c.conditions, 7)
			if !strings.Contains(messages(s.Conditions), c.message) {
				t.Errorf("no message says %q: %s", c.message, messages(s.Conditions))
			}
		})
	}
}

// O8: only addresses that answer are listed.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		svc  *corev1.Service
		want string
	}{
		"no Service":      {nil, "[]"},
		"a cluster IP":    {&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.1"}}, "[{IPAddress 10.0.0.1}]"},
		"both families":   {&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1", "fd00::1"}}}, "[{IPAddress 10.0.0.1} {IPAddress fd00::1}]"},
		"headless":        {&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "None"}}, "[]"},
		"external IPs":    {&corev1.Service{Spec: corev1.ServiceSpec{Type: "NodePort", ClusterIP: "10.0.0.1", ExternalIPs: []string{"192.0.2.1"}}}, "[{IPAddress 192.0.2.1}]"},
		"node ports":      {&corev1.Service{Spec: corev1.ServiceSpec{Type: "NodePort", ClusterIP: "10.0.0.1"}}, "[{IPAddress 10.0.0.1}]"},
		"pending balance": {&corev1.Service{Spec: corev1.ServiceSpec{Type: "LoadBalancer", ClusterIP: "10.0.0.1"}}, "[]"},
		"balanced": {&corev1.Service{Spec: corev1.ServiceSpec{Type: "LoadBalancer"}, Status: corev1.ServiceStatus{
			LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.9"}, {Hostname: "lb.example.com"}}}}},
			"[{IPAddress 192.0.2.9} {Hostname lb.example.com}]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(addresses(c.svc)); got != c.want {
				t.Errorf("addresses %s, want %s", got, c.want)
			}
		})
	}
}

// O9: conditions of other controllers stay, and a time changes with its status only.
func TestConditionsAreMerged(t *testing.T) {
	t.Parallel()
	then := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	now := metav1.NewTime(then.Add(time.Hour))
	present := []metav1.Condition{
		{Type: "example.com/Theirs", Status: metav1.ConditionTrue, LastTransitionTime: then},
		{Type: Accepted, Status: metav1.ConditionTrue, Reason: "Old", LastTransitionTime: then},
		{Type: Programmed, Status: metav1.ConditionTrue, LastTransitionTime: then},
	}
	got := merge(present, []metav1.Condition{
		{Type: Accepted, Status: metav1.ConditionTrue, Reason: "New"},
		{Type: Programmed, Status: metav1.ConditionFalse},
	}, now)
	if len(got) != 3 || meta.FindStatusCondition(got, "example.com/Theirs") == nil {
		t.Fatalf("conditions %v", got)
	}
	if c := meta.FindStatusCondition(got, Accepted); c.Reason != "New" || !c.LastTransitionTime.Equal(&then) {
		t.Errorf("a new reason: %+v", c)
	}
	if c := meta.FindStatusCondition(got, Programmed); !c.LastTransitionTime.Equal(&now) {
		t.Errorf("a new status: %+v", c)
	}
	if present[1].Reason != "Old" {
		t.Error("the cached object was changed")
	}
}

func TestALongMessageIsCutAtACharacter(t *testing.T) {
	t.Parallel()
	got := cut(strings.Repeat("ü", maxMessageBytes))
	if len(got) > maxMessageBytes+len("…") || !strings.HasSuffix(got, "ü…") {
		t.Errorf("%d bytes, ends in %q", len(got), got[len(got)-8:])
	}
}

func TestMiddlewareConditions(t *testing.T) {
	t.Parallel()
	m := &v1alpha1.Middleware{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
	unsupported := config.Problem{Field: "spec.type", Reason: config.ReasonUnsupported, Message: "not in this build"}
	invalid := config.Problem{Field: "spec.rule.users", Reason: config.ReasonInvalid, Message: "is empty"}
	for name, c := range map[string]struct {
		problems   []config.Problem
		ready      bool
		conditions string
	}{
		"fine": {nil, true, "Valid=ValidationPassed Accepted=Accepted"},
		"without its Secret": {
			[]config.Problem{{Field: "spec.rule.secretFrom.secretKeyRef", Reason: config.ReasonSecretNotFound, Message: "Secret a/b does not exist"}},
			false, "Valid=ValidationPassed -Accepted=SecretNotFound",
		},
		"unsupported": {[]config.Problem{unsupported}, false, "Valid=ValidationPassed -Accepted=Unsupported"},
		"invalid":     {[]config.Problem{invalid}, false, "-Valid=ValidationFailed -Accepted=Invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Middleware(MiddlewareFacts{Middleware: m, Problems: c.problems, ReferencedBy: []string{"site"}})
			if s.Ready != c.ready || len(s.ReferencedBy) != 1 {
				t.Errorf("status %+v", s)
			}
			expectConditions(t, s.Conditions, c.conditions, 2)
		})
	}
}
