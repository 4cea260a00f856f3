// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const route = `
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: shop}
spec:
  path: /shop
  rewrite: %s
  target: http://backend:8080
  gateways: [gateway]
  middlewares: [guard]
`

const guard = `
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Middleware
metadata: {name: guard}
spec: %s
`

// O7, E1, E2, K3: a Gateway's life, from the first apply to the end, with a client
// that never stops asking.
func TestAGatewayServesAndChangesWithoutAFailedRequest(t *testing.T) {
	w := newWorld(t, "life")
	w.apply(backend)
	w.apply(w.example("01-gateway-minimal.yaml"))
	w.apply(fmt.Sprintf(route, "/v1"))
	w.apply(fmt.Sprintf(guard, `{type: rateLimit, rule: {unit: second, requestsPerUnit: 1000}}`))
	w.kubectl("", "rollout", "status", "deployment/backend", "--timeout=120s")
	w.settled("gateway", 1)
	w.programmedRoute("shop")

	for _, step := range []struct {
		name string
		run  func(*world)
	}{
		{"requests reach the backend through the ClusterIP", clusterIPServes},
		{"requests reach the backend through a NodePort", nodePortServes},
		{"a changed Route is live in the same pod", routeChangesLive},
		{"a Middleware turns on basic auth in the same pod", middlewareChangesLive},
		{"scaling to 3 and back loses nothing", scales},
		{"without the sidecar the same Route is served", sidecarOff},
		{"with the sidecar again the same Route is served", sidecarOn},
		{"deleting the Gateway removes everything", deleted},
	} {
		ok := t.Run(step.name, func(t *testing.T) { step.run(&world{t, w.namespace}) })
		if !ok {
			return // the steps build on each other
		}
	}
}

func clusterIPServes(w *world) {
	if got := w.untilStatus(200, w.url("gateway", "/shop/a%2Fb?c=d")); got.Path != "/v1/a%2Fb" {
		w.Errorf("the backend saw %s", got.body)
	}
	if got := w.ask(w.url("gateway", "/other")); got.status != 404 {
		w.Errorf("a path without a route: %+v", got)
	}
}

func nodePortServes(w *world) {
	w.kubectl("", "patch", "gateway", "gateway", "--type=merge", "-p", `{"spec":{"service":{"type":"NodePort"}}}`)
	var port int32
	w.until("the Service has node ports", func() bool {
		s := w.service("gateway")
		port = s.Spec.Ports[0].NodePort
		return s.Spec.Type == corev1.ServiceTypeNodePort && port != 0
	})
	var nodes corev1.NodeList
	if err := kube.List(w.Context(), &nodes); err != nil {
		w.Fatal(err)
	}
	for _, a := range nodes.Items[0].Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			w.untilStatus(200, fmt.Sprintf("http://%s:%d/shop", a.Address, port))
		}
	}
}

// identity is what must stay: the pods, and how often their containers began.
func (w *world) identity() map[types.UID]int32 {
	restarts := map[types.UID]int32{}
	for _, p := range w.pods("gateway") {
		restarts[p.UID] = 0
		for _, c := range p.Status.ContainerStatuses {
			restarts[p.UID] += c.RestartCount
		}
	}
	return restarts
}

func routeChangesLive(w *world) {
	before, client := w.identity(), begin(w.T, w.url("gateway", "/shop"))
	for i := range 10 {
		rewrite := fmt.Sprintf("/v%d", i+2)
		changed := time.Now()
		w.apply(fmt.Sprintf(route, rewrite))
		w.until("the backend sees "+rewrite, func() bool { return w.ask(w.url("gateway", "/shop")).Path == rewrite })
		w.Logf("a change was live after %s, kubectl included", time.Since(changed).Round(time.Millisecond))
		w.programmedRoute("shop")
	}
	client.end("ten changes of a Route")
	if after := w.identity(); !maps.Equal(before, after) {
		w.Errorf("pods and restarts were %v, are %v", before, after)
	}
}

func middlewareChangesLive(w *world) {
	before, url := w.identity(), w.url("gateway", "/shop")
	w.apply(fmt.Sprintf(guard, `{type: basicAuth, rule: {users: ["ann:secret"]}}`))
	w.untilStatus(401, url)
	w.untilStatus(200, url, func(r *http.Request) { r.SetBasicAuth("ann", "secret") })
	w.apply(fmt.Sprintf(guard, `{type: rateLimit, rule: {unit: second, requestsPerUnit: 1000}}`))
	w.untilStatus(200, url)
	if after := w.identity(); !maps.Equal(before, after) {
		w.Errorf("pods and restarts were %v, are %v", before, after)
	}
}

func (w *world) patch(gateway, patch string) {
	w.Helper()
	w.kubectl("", "patch", "gateway", gateway, "--type=merge", "-p", patch)
}

func scales(w *world) {
	client := begin(w.T, w.url("gateway", "/shop"))
	w.patch("gateway", `{"spec":{"replicas":3}}`)
	w.settled("gateway", 3)
	w.patch("gateway", `{"spec":{"replicas":1}}`)
	w.settled("gateway", 1)
	w.gone(1)
	client.end("scaling to 3 and back")
}

// gone waits until only so many pods are left, those that end included.
func (w *world) gone(replicas int) {
	w.until(fmt.Sprintf("%d pods are left", replicas), func() bool {
		var list corev1.PodList
		if err := kube.List(w.Context(), &list, client.InNamespace(w.namespace), client.MatchingLabels{"app": "gateway"}); err != nil {
			w.Fatal(err)
		}
		return len(list.Items) == replicas
	})
}

func sidecarOff(w *world) {
	client := begin(w.T, w.url("gateway", "/shop"))
	w.patch("gateway", `{"spec":{"providers":{"kubernetes":{"enabled":false}}}}`)
	w.settledWith("gateway", 1)
	w.gone(1)
	client.end("turning the sidecar off")
	if got := w.ask(w.url("gateway", "/shop")); got.Path != "/v11" {
		w.Errorf("the backend saw %+v", got)
	}
	// A change now takes a rolling restart, which nobody notices either.
	client = begin(w.T, w.url("gateway", "/shop"))
	w.apply(fmt.Sprintf(route, "/restarted"))
	w.until("the change is served", func() bool { return w.ask(w.url("gateway", "/shop")).Path == "/restarted" })
	w.settledWith("gateway", 1)
	w.gone(1)
	client.end("a rolling restart for a changed Route")
	w.programmedRoute("shop")
}

func sidecarOn(w *world) {
	client := begin(w.T, w.url("gateway", "/shop"))
	w.patch("gateway", `{"spec":{"providers":{"kubernetes":{"enabled":true}}}}`)
	w.settledWith("gateway", 2)
	w.gone(1)
	client.end("turning the sidecar on")
	if got := w.ask(w.url("gateway", "/shop")); got.Path != "/restarted" {
		w.Errorf("the backend saw %+v", got)
	}
}

// settledWith waits for one pod of so many containers.
func (w *world) settledWith(gateway string, containers int) {
	w.Helper()
	w.until(fmt.Sprintf("the pods have %d containers", containers), func() bool {
		var d appsv1.Deployment
		if w.get(gateway, &d) {
			return false
		}
		spec := d.Spec.Template.Spec
		return len(spec.Containers)+len(spec.InitContainers) == containers
	})
	w.settled(gateway, 1)
}

func deleted(w *world) {
	w.kubectl("", "delete", "gateway", "gateway", "--timeout=60s")
	lists := []client.ObjectList{
		&appsv1.DeploymentList{}, &corev1.ServiceList{}, &corev1.ConfigMapList{}, &corev1.ServiceAccountList{}, &corev1.SecretList{},
		&rbacv1.RoleList{}, &rbacv1.RoleBindingList{}, &autoscalingv2.HorizontalPodAutoscalerList{}, &corev1.PodList{},
	}
	var left []string
	w.until("nothing of the Gateway is left", func() bool {
		left = nil
		for _, list := range lists {
			left = append(left, w.ofGateway(list)...)
		}
		return len(left) == 0
	})
	if got := w.kubectl("", "get", "route", "shop", "-o", "jsonpath={.status.ready}"); got == "true" {
		w.until("the Route is not ready any more", func() bool {
			return w.kubectl("", "get", "route", "shop", "-o", "jsonpath={.status.ready}") != "true"
		})
	}
}

// ofGateway names the objects of a list that the Gateway owned.
func (w *world) ofGateway(list client.ObjectList) []string {
	w.Helper()
	if err := kube.List(w.Context(), list, client.InNamespace(w.namespace)); err != nil {
		w.Fatal(err)
	}
	var names []string
	err := meta.EachListItem(list, func(item runtime.Object) error {
		if o := item.(client.Object); strings.HasPrefix(o.GetName(), "gateway") {
			names = append(names, fmt.Sprintf("%T %s", o, o.GetName()))
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return names
}
