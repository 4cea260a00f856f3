// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator"
)

const permuted = `
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Gateway
metadata: {name: gateway}
spec:
  replicas: 1
  server:
    tls: [{secretName: site-tls}]
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Middleware
metadata: {name: edge}
spec:
  type: requestHeaders
  rule: {setHeaders: {X-Edge: goma}}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: site}
spec:
  gateways: [gateway]
  path: /
  hosts: [site.example.com]
  target: http://site.default.svc.cluster.local:8080
  middlewares: [edge]
  tls: {secretName: site-tls}
`

// O10: each of the 24 orders of applying Gateway, Middleware, Route and Secret
// ends in the same state.
func TestTheOrderOfApplyingMakesNoDifference(t *testing.T) {
	t.Parallel()
	names := []string{"Gateway", "Middleware", "Route", "Secret"}
	var first string
	for i, order := range permutations([]int{0, 1, 2, 3}) {
		label := ""
		for _, n := range order {
			label += names[n] + " "
		}
		ok := t.Run(strings.TrimSpace(label), func(t *testing.T) {
			s := newStage(t)
			s.startKubelet()
			s.operate(operator.Options{})
			objects := append(s.decode(permuted), s.decode(tlsManifest(t, "site-tls"))...)
			for _, n := range order {
				if err := s.apply(objects[n]); err != nil {
					t.Fatal(err)
				}
			}
			s.eventually("all is ready", func() error {
				return firstError(s.routeReady("site"),
					s.gatewayIs("gateway", "Programmed", true, ""), s.gatewayIs("gateway", "ConfigSynced", true, ""),
					s.gatewayIs("gateway", "ResolvedRefs", true, ""), s.middlewareIs("edge", "Accepted", true, ""),
					s.referencedBy("edge", "site"))
			})
			state := s.state()
			if i == 0 {
				first = state
			}
			if state != first {
				t.Errorf("the state differs from that of the first order:\n%s\n--- first:\n%s", state, first)
			}
		})
		if !ok {
			return
		}
	}
}

// state gives spec and status of all that the operator writes, without what is
// different in each cluster: times, identities, names of pods, addresses.
func (s *stage) state() string {
	s.t.Helper()
	var out strings.Builder
	for _, kind := range []struct{ version, kind, name string }{
		{"gateway.jkaninda.dev/v1alpha1", "Gateway", "gateway"}, {"gateway.jkaninda.dev/v1alpha1", "Route", "site"},
		{"gateway.jkaninda.dev/v1alpha1", "Middleware", "edge"},
		{"v1", "ConfigMap", "gateway"}, {"rbac.authorization.k8s.io/v1", "Role", "gateway"}, {"apps/v1", "Deployment", "gateway"},
	} {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion(kind.version)
		o.SetKind(kind.kind)
		s.get(kind.name, o)
		delete(o.Object, "metadata")
		if kind.kind == "Role" {
			dropPods(o.Object)
		}
		if kind.kind == "Deployment" {
			delete(o.Object, "status")
		}
		unstructured.RemoveNestedField(o.Object, "status", "addresses")
		unstructured.RemoveNestedField(o.Object, "status", "configChecksum") // the text names the namespace
		if list, ok, _ := unstructured.NestedSlice(o.Object, "status", "conditions"); ok {
			for _, c := range list {
				delete(c.(map[string]any), "lastTransitionTime")
			}
			_ = unstructured.SetNestedSlice(o.Object, list, "status", "conditions")
		}
		out.WriteString(strings.ReplaceAll(asYAML(o), s.ns, "NAMESPACE"))
	}
	return out.String()
}

func permutations(list []int) [][]int {
	if len(list) <= 1 {
		return [][]int{list}
	}
	var out [][]int
	for i := range list {
		rest := append(append([]int(nil), list[:i]...), list[i+1:]...)
		for _, p := range permutations(rest) {
			out = append(out, append([]int{list[i]}, p...))
		}
	}
	return out
}

func (s *stage) referencedBy(middleware string, routes ...string) error {
	var m v1alpha1.Middleware
	if err := s.read(middleware, &m); err != nil {
		return err
	}
	if fmt.Sprint(m.Status.ReferencedBy) != fmt.Sprint(routes) {
		return fmt.Errorf("referenced by %v, want %v", m.Status.ReferencedBy, routes)
	}
	return nil
}

// O8: a Route is not Programmed before the pods have answered for it, and its
// neighbours stay Programmed meanwhile.
func TestARouteIsProgrammedWhenThePodsSaySo(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	k := s.startKubelet()
	s.operate(operator.Options{})
	s.applyText(simpleGateway + "---" + simpleRoute)
	s.eventually("the first Route", func() error { return s.routeReady("site") })
	k.mute.Store(true)
	other := strings.NewReplacer("name: site", "name: other", "path: /", "path: /other").Replace(simpleRoute)
	s.applyText(other)
	s.eventually("the new Route waits", func() error { return s.routeIs("other", "Programmed", false, "Pending") })
	s.eventually("the Gateway is behind", func() error { return s.gatewayIs("gateway", "ConfigSynced", false, "Pending") })
	if err := s.routeReady("site"); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
	s.applyText(strings.Replace(simpleRoute, "path: /", "path: /changed", 1))
	s.eventually("the changed Route waits", func() error { return s.routeIs("site", "Programmed", false, "Pending") })
	k.mute.Store(false)
	s.eventually("both are live", func() error {
		return firstError(s.routeReady("site"), s.routeReady("other"), s.gatewayIs("gateway", "ConfigSynced", true, ""))
	})
	k.report(config.Problem{
		Object: config.ObjectRef{Kind: "Route", Namespace: s.ns, Name: "other"}, Field: "path",
		Reason: config.ReasonConflicted, Message: "Route site has the same match",
	})
	s.eventually("the pods' finding is told", func() error {
		return firstError(s.routeIs("other", "Programmed", false, "Conflicted"), s.routeIs("other", "Conflicted", true, "Conflicted"),
			s.routeReady("site"))
	})
}

// R2: of two Routes with one match the younger says that it does not serve, also
// where no sidecar reports it.
func TestTheYoungerOfTwoEqualRoutesSaysSo(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startKubelet()
	s.operate(operator.Options{})
	s.applyText(strings.Replace(simpleGateway, "{replicas: 2}", "{providers: {kubernetes: {enabled: false}}}", 1) + "---" + simpleRoute)
	s.eventually("the first", func() error { return s.routeReady("site") })
	s.applyText(strings.Replace(simpleRoute, "name: site", "name: twin", 1))
	s.eventually("the second", func() error {
		return firstError(s.routeIs("twin", "Conflicted", true, "Conflicted"), s.routeIs("twin", "Programmed", false, "Conflicted"),
			s.routeReady("site"))
	})
}

// A restart of the operator does not make anything flicker.
func TestARestartOfTheOperatorWritesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startKubelet()
	stop := s.operate(operator.Options{})
	s.applyText(simpleGateway + "---" + simpleRoute)
	s.eventually("all is ready", func() error {
		return firstError(s.routeReady("site"), s.gatewayIs("gateway", "ConfigSynced", true, ""), s.gatewayIs("gateway", "Programmed", true, ""))
	})
	stop()
	before := s.requests.written()
	reads := s.requests.reads
	s.operate(operator.Options{Resync: 300 * time.Millisecond})
	s.eventually("the new one is at work", func() error {
		s.requests.mu.Lock()
		defer s.requests.mu.Unlock()
		if s.requests.reads < reads+10 {
			return fmt.Errorf("%d reads", s.requests.reads-reads)
		}
		return nil
	})
	s.applyText(strings.NewReplacer("name: site", "name: later", "path: /", "path: /later").Replace(simpleRoute))
	s.eventually("a later Route", func() error { return s.routeReady("later") })
	for _, w := range s.requests.since(before) {
		if strings.Contains(w, "/routes/site/") || strings.Contains(w, "/deployments/") || strings.Contains(w, "/configmaps/") {
			t.Errorf("written after the restart: %s", w)
		}
	}
}

// Each broken manifest ends in a condition that names the cause.
func TestABrokenObjectSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startKubelet()
	s.operate(operator.Options{})
	s.applyText(simpleGateway + "---" + simpleRoute + `
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: no-gateway}
spec: {gateways: [gateway, elsewhere], path: /a, target: "http://a:1"}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: no-middleware}
spec: {gateways: [gateway], path: /b, target: "http://b:1", middlewares: [absent]}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: no-secret}
spec: {gateways: [gateway], path: /c, target: "http://c:1", hosts: [c.example.com], tls: {secretName: absent-tls}}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Middleware
metadata: {name: no-password}
spec: {type: ldapAuth, rule: {url: "ldap://ldap:389", baseDN: "dc=example", bindDN: "cn=reader", bindPassFrom: {secretKeyRef: {name: absent, key: reader}}}}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Middleware
metadata: {name: wrong}
spec: {type: accessPolicy, rule: {action: DENY, sourceRanges: ["not-an-address"]}}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: bad-middleware}
spec: {gateways: [gateway], path: /d, target: "http://d:1", middlewares: [wrong]}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: "off"}
spec: {gateways: [gateway], path: /e, target: "http://e:1", enabled: false}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Gateway
metadata: {name: sources}
spec: {server: {tls: [{secretName: absent-tls}], monitoring: {middleware: {metrics: [absent]}}}, providers: {http: {enabled: true, endpoint: "https://example.com/x"}}}
`)
	s.eventually("each says so", func() error {
		return firstError(
			s.routeReady("site"),
			s.routeIs("no-gateway", "Accepted", false, "GatewayNotFound"), s.routeIs("no-gateway", "Valid", false, "ValidationFailed"),
			s.routeIs("no-middleware", "MiddlewaresResolved", false, "MiddlewareNotFound"),
			s.routeIs("no-middleware", "Programmed", false, "MiddlewareNotFound"),
			s.routeIs("no-secret", "ResolvedRefs", false, "SecretNotFound"),
			s.middlewareIs("no-password", "Accepted", false, "SecretNotFound"), s.middlewareIs("no-password", "Valid", true, ""),
			s.middlewareIs("wrong", "Valid", false, "ValidationFailed"), s.routeIs("bad-middleware", "ResolvedRefs", false, "MiddlewareInvalid"),
			s.routeIs("off", "Programmed", true, "Disabled"),
			s.gatewayIs("sources", "Accepted", true, ""), s.gatewayIs("sources", "ResolvedRefs", false, ""),
			s.gatewayIs("sources", "Programmed", true, ""),
		)
	})
	s.eventually("only valid, enabled Routes are counted", func() error {
		var gw v1alpha1.Gateway
		if err := s.read("gateway", &gw); err != nil {
			return err
		}
		if gw.Status.Routes != 5 {
			return fmt.Errorf("%d routes, want 5: all but the disabled one", gw.Status.Routes)
		}
		return nil
	})
}

// O8: why no pod becomes ready is told by name.
func TestAPodThatCannotStartIsNamed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	k := s.startKubelet()
	k.unready.Store(true)
	s.operate(operator.Options{})
	s.applyText(simpleGateway)
	var pods corev1.PodList
	s.eventually("pods", func() error {
		if err := s.client.List(t.Context(), &pods, client.InNamespace(s.ns)); err != nil {
			return err
		}
		if len(pods.Items) == 0 {
			return fmt.Errorf("none")
		}
		return nil
	})
	pod := &pods.Items[0]
	before := pod.DeepCopy()
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "goma-gateway", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"},
	}}}
	if err := s.client.Status().Patch(t.Context(), pod, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	s.eventually("the cause", func() error {
		var gw v1alpha1.Gateway
		if err := s.read("gateway", &gw); err != nil {
			return err
		}
		text, err := json.Marshal(gw.Status.Conditions)
		if err != nil {
			return err
		}
		if !strings.Contains(string(text), "ImagePullBackOff: no such image") {
			return fmt.Errorf("conditions %s", text)
		}
		return nil
	})
}

// O9: a thousand Routes are a few writes of the Gateway's status.
func TestAThousandRoutesAreFewStatusWrites(t *testing.T) {
	s := newStage(t)
	s.startKubelet()
	s.operate(operator.Options{})
	s.applyText(simpleGateway)
	s.eventually("the Gateway", func() error { return s.gatewayIs("gateway", "Programmed", true, "") })
	const count = 1000
	began := time.Now()
	for i := range count {
		r := &v1alpha1.Route{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: fmt.Sprintf("route-%04d", i)},
			Spec: v1alpha1.RouteSpec{
				Gateways: []string{"gateway"}, Path: fmt.Sprintf("/r/%d", i), Target: "http://backend:8080",
			},
		}
		if err := s.client.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually("all are ready", func() error {
		var routes v1alpha1.RouteList
		if err := s.client.List(t.Context(), &routes, client.InNamespace(s.ns)); err != nil {
			return err
		}
		n := 0
		for _, r := range routes.Items {
			if r.Status.Ready {
				n++
			}
		}
		if n != count {
			return fmt.Errorf("%d of %d", n, count)
		}
		var gw v1alpha1.Gateway
		if err := s.read("gateway", &gw); err != nil {
			return err
		}
		if gw.Status.Routes != count {
			return fmt.Errorf("the Gateway counts %d", gw.Status.Routes)
		}
		return nil
	})
	// A machine that is so slow that they come over minutes may have one each second.
	most := max(30, int(time.Since(began).Seconds()))
	if n := s.requests.matching("/gateways/gateway/status"); n > most {
		t.Errorf("%d writes of the Gateway's status, want at most %d", n, most)
	}
	if n := s.requests.matching("/routes/"); n > 2*count+count/10 {
		t.Errorf("%d writes of Routes' statuses, want about two each", n)
	}
}

// tlsManifest gives the manifest of a Secret with a certificate made for the test.
func tlsManifest(t *testing.T, name string) string {
	t.Helper()
	cert, key := certificate(t, "site.example.com")
	o := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
		"metadata":   map[string]any{"name": name},
		"stringData": map[string]any{"tls.crt": cert, "tls.key": key},
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
