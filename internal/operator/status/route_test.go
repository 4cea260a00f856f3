// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/board"
)

var (
	isLive  = board.Live{Known: true, Programmed: true}
	pending = board.Live{Known: true}
	unknown = board.Live{}
	noPods  = board.Live{Known: true, NoPods: true}
	partly  = board.Live{Known: true, Programmed: true, Problems: []config.Problem{{
		Reason: config.ReasonConflicted, Message: "Route older has the same host a.example.com", Severity: config.SeverityWarning,
	}}}
	conflict = board.Live{Known: true, Programmed: true, Problems: []config.Problem{{
		Reason: config.ReasonConflicted, Field: "path", Message: "Route older has the same match",
	}}}
)

func route(change func(*v1alpha1.Route)) *v1alpha1.Route {
	r := &v1alpha1.Route{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "site", Generation: 3},
		Spec:       v1alpha1.RouteSpec{Gateways: []string{"gateway"}},
	}
	if change != nil {
		change(r)
	}
	return r
}

func on(live board.Live) []RouteGateway {
	return []RouteGateway{{Name: "gateway", Exists: true, Generation: 5, Seen: true, Live: live}}
}

func TestRouteConditions(t *testing.T) {
	t.Parallel()
	wasLive := func(generation int64) func(*v1alpha1.Route) {
		return func(r *v1alpha1.Route) {
			r.Status.Conditions = []metav1.Condition{{Type: Programmed, Status: metav1.ConditionTrue, ObservedGeneration: generation}}
		}
	}
	invalid := []config.Problem{{Field: "spec.path", Reason: config.ReasonInvalid, Message: "must begin with /"}}
	warning := []config.Problem{{Field: "spec.path", Reason: config.ReasonIgnored, Message: "odd", Severity: config.SeverityWarning}}
	for name, c := range map[string]struct {
		facts  RouteFacts
		ready  bool
		synced bool
		// conditions are written TYPE=REASON with a minus in front for False.
		conditions string
		message    string
	}{
		"a Route that is live is ready": {
			facts: RouteFacts{Route: route(nil), Gateways: on(isLive)}, ready: true, synced: true,
			conditions: "Valid=ValidationPassed Accepted=Accepted ResolvedRefs=ResolvedRefs Programmed=Programmed -Conflicted=NoConflict",
		},
		"a warning changes nothing": {
			facts: RouteFacts{Route: route(nil), Spec: warning, Gateways: on(isLive)}, ready: true, synced: true,
			conditions: "Valid=ValidationPassed",
		},
		"a Route that the pods do not have waits": {
			facts:      RouteFacts{Route: route(nil), Gateways: on(pending)},
			conditions: "Accepted=Accepted -Programmed=Pending", message: "Gateway gateway",
		},
		"a Route that no pass has seen waits, whatever was before": {
			facts:      RouteFacts{Route: route(wasLive(3)), Gateways: []RouteGateway{{Name: "gateway", Exists: true}}},
			conditions: "-Programmed=Pending",
		},
		"after a restart of the operator what was live is live": {
			facts: RouteFacts{Route: route(wasLive(3)), Gateways: on(unknown)}, ready: true, synced: true,
			conditions: "Programmed=Programmed",
		},
		"after a restart a changed Route waits": {
			facts: RouteFacts{Route: route(wasLive(2)), Gateways: on(unknown)}, conditions: "-Programmed=Pending",
		},
		"without a ready pod nothing is live": {
			facts: RouteFacts{Route: route(nil), Gateways: on(noPods)}, conditions: "-Programmed=NoReadyPods",
		},
		"an invalid Route is set aside": {
			facts: RouteFacts{Route: route(nil), Spec: invalid, Gateways: on(isLive)}, synced: true,
			conditions: "-Valid=ValidationFailed -Accepted=Invalid -Programmed=Invalid", message: "spec.path: must begin with /",
		},
		"a missing Gateway is named": {
			facts:      RouteFacts{Route: route(nil), Gateways: append(on(isLive), RouteGateway{Name: "other"})},
			conditions: "-Valid=ValidationFailed -Accepted=GatewayNotFound -Programmed=GatewayNotFound", message: "spec.gateways[1]",
		},
		"a missing Middleware is named, and the Route answers 503": {
			facts: RouteFacts{Route: route(nil), MissingMiddlewares: []string{"a", "b"}, Gateways: on(isLive)}, synced: true,
			conditions: "-Valid=ValidationFailed -MiddlewaresResolved=MiddlewareNotFound Accepted=Accepted " +
				"-ResolvedRefs=MiddlewareNotFound -Programmed=MiddlewareNotFound", message: "a, b",
		},
		"a missing Secret is named, and the Route answers 503": {
			facts: RouteFacts{Route: route(nil), Gateways: on(isLive), Refs: []config.Problem{{
				Field: "spec.tls.secretName", Reason: config.ReasonSecretNotFound, Message: "Secret default/tls does not exist"}}},
			synced:     true,
			conditions: "Valid=ValidationPassed -ResolvedRefs=SecretNotFound -Programmed=SecretNotFound", message: "Secret default/tls",
		},
		"a Route whose match is taken says by whom": {
			facts: RouteFacts{Route: route(nil), Gateways: on(conflict)}, synced: true,
			conditions: "-Programmed=Conflicted Conflicted=Conflicted", message: "Route older",
		},
		"a Route that loses at one of its hosts serves the others": {
			facts: RouteFacts{Route: route(nil), Gateways: on(partly)}, ready: true, synced: true,
			conditions: "Programmed=Programmed Conflicted=Conflicted", message: "host a.example.com",
		},
		"a disabled Route is as it was asked for": {
			facts: RouteFacts{Route: route(func(r *v1alpha1.Route) { r.Spec.Enabled = new(false) }), Gateways: on(isLive)},
			ready: true, synced: true, conditions: "Programmed=Disabled",
		},
		"of two Gateways both must have it": {
			facts: RouteFacts{Route: route(nil), Gateways: append(on(isLive),
				RouteGateway{Name: "second", Exists: true, Seen: true, Live: pending})},
			conditions: "-Programmed=Pending", message: "Gateway second",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Route(c.facts)
			if s.Ready != c.ready || s.Synced != c.synced {
				t.Errorf("ready %v, synced %v; want %v, %v", s.Ready, s.Synced, c.ready, c.synced)
			}
			if (s.GatewayGeneration > 0) != c.synced {
				t.Errorf("gatewayGeneration %d while synced is %v", s.GatewayGeneration, c.synced)
			}
			expectConditions(t, s.Conditions, c.conditions, 3)
			if c.message != "" && !strings.Contains(messages(s.Conditions), c.message) {
				t.Errorf("no message says %q: %s", c.message, messages(s.Conditions))
			}
		})
	}
}

// A change of the Gateway must not be a write for every Route.
func TestTheGatewayGenerationIsThatOfWhenTheRouteBecameLive(t *testing.T) {
	t.Parallel()
	r := route(func(r *v1alpha1.Route) {
		r.Status = v1alpha1.RouteStatus{Synced: true, GatewayGeneration: 4, Conditions: []metav1.Condition{
			{Type: Programmed, Status: metav1.ConditionTrue, ObservedGeneration: 3}}}
	})
	if s := Route(RouteFacts{Route: r, Gateways: on(isLive)}); s.GatewayGeneration != 4 {
		t.Errorf("an unchanged Route: generation %d, want 4", s.GatewayGeneration)
	}
	r.Generation = 4
	if s := Route(RouteFacts{Route: r, Gateways: on(isLive)}); s.GatewayGeneration != 5 {
		t.Errorf("a changed Route: generation %d, want 5", s.GatewayGeneration)
	}
}

func expectConditions(t *testing.T, list []metav1.Condition, want string, generation int64) {
	t.Helper()
	for text := range strings.FieldsSeq(want) {
		status := metav1.ConditionTrue
		if rest, ok := strings.CutPrefix(text, "-"); ok {
			status, text = metav1.ConditionFalse, rest
		}
		kind, reason, _ := strings.Cut(text, "=")
		c := meta.FindStatusCondition(list, kind)
		if c == nil {
			t.Errorf("there is no condition %s", kind)
			continue
		}
		if c.Status != status || c.Reason != reason || c.ObservedGeneration != generation || c.Message == "" {
			t.Errorf("%s is %s/%s at %d (%s), want %s/%s at %d", kind, c.Status, c.Reason, c.ObservedGeneration, c.Message,
				status, reason, generation)
		}
	}
}

func messages(list []metav1.Condition) string {
	var out []string
	for _, c := range list {
		out = append(out, c.Message)
	}
	return strings.Join(out, "\n")
}
