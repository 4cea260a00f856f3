// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
	"gateway.jkaninda.dev/goma/internal/wire"
)

func TestOptionsReportEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	err := Options{Namespace: "A/b", Namespaces: []string{"a", ""}, MetricsAddress: "nowhere", ProbeAddress: "0", Resync: -1}.Validate()
	for _, want := range []string{`namespace "A/b"`, `namespace ""`, `metrics address "nowhere"`, "resync"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	if err := (Options{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}

// O6: an operator for some namespaces watches nothing in others.
func TestNamespacesBoundEveryWatch(t *testing.T) {
	t.Parallel()
	o := Options{Namespaces: []string{"b", "a", "b"}, Namespace: "c"}
	if got := o.watched(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("watched %v", got)
	}
	if got := slices.Sorted(maps.Keys(cacheOptions(o.watched()).DefaultNamespaces)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the cache is for %v", got)
	}
	all := cacheOptions(nil)
	if all.DefaultNamespaces != nil {
		t.Errorf("without namespaces the cache is for %v", all.DefaultNamespaces)
	}
	for kind, by := range cacheOptions(o.watched()).ByObject {
		if by.Namespaces != nil {
			t.Errorf("%T is watched in namespaces of its own: %v", kind, by.Namespaces)
		}
	}
}

func TestPaceLetsTheFirstThroughAndSpacesTheRest(t *testing.T) {
	t.Parallel()
	clock := time.Unix(0, 0)
	p := newPace(time.Second)
	p.now = func() time.Time { return clock }
	key := types.NamespacedName{Name: "gateway"}
	if w := p.wait(key); w != 0 {
		t.Errorf("the first waits %s", w)
	}
	p.done(key)
	clock = clock.Add(300 * time.Millisecond)
	if w := p.wait(key); w != 700*time.Millisecond {
		t.Errorf("the second waits %s, want 700ms", w)
	}
	if w := p.wait(types.NamespacedName{Name: "other"}); w != 0 {
		t.Errorf("another waits %s", w)
	}
	clock = clock.Add(time.Second)
	if w := p.wait(key); w != 0 {
		t.Errorf("later it waits %s", w)
	}
}

// vault is a reader with Secrets that counts how often it is asked.
type vault struct {
	client.Reader

	secrets map[string]map[string][]byte
	err     error
	asked   int
}

func (v *vault) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	v.asked++
	if v.err != nil {
		return v.err
	}
	data, ok := v.secrets[key.Name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
	}
	s := o.(*corev1.Secret)
	s.Data, s.ResourceVersion = data, "7"
	return nil
}

// K3: a Secret that comes later is found soon, and one that is there is not
// asked for again and again.
func TestFindingsAboutSecretsHoldForAWhile(t *testing.T) {
	t.Parallel()
	v := &vault{secrets: map[string]map[string][]byte{}}
	clock := time.Unix(0, 0)
	s := newSecrets(v)
	s.now = func() time.Time { return clock }
	ref := resolve.SecretRef{
		Object: config.ObjectRef{Kind: "Gateway", Name: "gateway"}, Field: "spec.server.redis.passwordSecret",
		Secret: types.NamespacedName{Namespace: "default", Name: "redis-auth"}, Keys: []string{"password"},
	}
	check := func(reason config.Reason, asked int) {
		t.Helper()
		_, p, err := s.check(t.Context(), ref)
		if err != nil || (p == nil) != (reason == "") || p != nil && (p.Reason != reason || p.Field != ref.Field) {
			t.Errorf("problem %v, %v; want %q", p, err, reason)
		}
		if v.asked != asked {
			t.Errorf("asked %d times, want %d", v.asked, asked)
		}
	}
	check(config.ReasonSecretNotFound, 1)
	v.secrets["redis-auth"] = map[string][]byte{"other": []byte("x")}
	check(config.ReasonSecretNotFound, 1)
	clock = clock.Add(secretMissingFor + time.Millisecond)
	check(config.ReasonSecretInvalid, 2)
	v.secrets["redis-auth"] = map[string][]byte{"password": []byte("x")}
	clock = clock.Add(secretMissingFor + time.Millisecond)
	check("", 3)
	clock = clock.Add(secretFoundFor - time.Second)
	check("", 3)
	clock = clock.Add(2 * time.Second)
	check("", 4)
}

// O5: an error that is not "not found" must not be taken for it.
func TestAnAPIServerThatIsAwayIsNoMissingSecret(t *testing.T) {
	t.Parallel()
	s := newSecrets(&vault{err: errors.New("connection refused")})
	_, p, err := s.check(t.Context(), resolve.SecretRef{Secret: types.NamespacedName{Namespace: "default", Name: "x"}})
	if err == nil || p != nil {
		t.Errorf("problem %v, error %v; want an error alone", p, err)
	}
}

// T8: a name that cannot be one is never asked for.
func TestANameThatNoSecretCanHaveIsNotAskedFor(t *testing.T) {
	t.Parallel()
	v := &vault{}
	_, p, err := newSecrets(v).check(t.Context(), resolve.SecretRef{Secret: types.NamespacedName{Namespace: "default", Name: "../x"}})
	if err != nil || p == nil || v.asked != 0 {
		t.Errorf("problem %v, error %v, asked %d times", p, err, v.asked)
	}
}

func pod(name string, change func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Annotations: map[string]string{}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	if change != nil {
		change(&p)
	}
	return p
}

func TestAnswersOfPods(t *testing.T) {
	t.Parallel()
	report := wire.NewReport(wire.Answer{Checksum: "sha256:1", Problems: []config.Problem{{Message: "x"}}}).Encode()
	pods := sortPods([]corev1.Pod{
		pod("d-static", func(p *corev1.Pod) { p.Annotations[stack.AnnotationConfigHash] = "hash" }),
		pod("c-ending", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.Now()) }),
		pod("b-garbled", func(p *corev1.Pod) { p.Annotations[wire.ReportAnnotation] = "{" }),
		pod("a-reports", func(p *corev1.Pod) { p.Annotations[wire.ReportAnnotation] = report }),
		pod("e-ended", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }),
	})
	if got := podNames(pods); !slices.Equal(got, []string{"a-reports", "b-garbled", "c-ending", "d-static"}) {
		t.Fatalf("pods %v", got)
	}
	with := answers(pods, plan{sidecar: true})
	if with[0].Checksum != "sha256:1" || len(with[0].Problems) != 1 || !with[0].Ready {
		t.Errorf("a report: %+v", with[0])
	}
	if with[1].Checksum != "" || with[2].Ready || with[3].Checksum != "" {
		t.Errorf("garbled, ending, silent: %+v", with[1:])
	}
	finding := config.Problem{Message: "found"}
	without := answers(pods, plan{findings: []config.Problem{finding}})
	if without[3].Checksum != "hash" || without[0].Checksum != "" || len(without[3].Problems) != 1 {
		t.Errorf("without sidecar: %+v", without)
	}
}

// Z5: a floating tag hides which build runs; the status tells.
func TestImagesOfReadyPods(t *testing.T) {
	t.Parallel()
	runs := func(id string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{
				{Name: "k8s-provider", Image: "docker.io/a/provider:latest", ImageID: "sha256:3"},
				{Name: "goma-gateway", Image: "docker.io/a/gateway:latest", ImageID: id},
			}
		}
	}
	got := images([]corev1.Pod{
		pod("a", runs("docker.io/a/gateway@sha256:2")), pod("b", runs("docker.io/a/gateway@sha256:1")), pod("c", runs("docker.io/a/gateway@sha256:2")),
		pod("d", func(p *corev1.Pod) {
			runs("docker.io/a/gateway@sha256:9")(p)
			p.Status.Conditions = nil
		}),
	})
	want := []v1alpha1.GatewayImage{
		{Container: "goma-gateway", Image: "docker.io/a/gateway:latest", Digest: "sha256:1"},
		{Container: "goma-gateway", Image: "docker.io/a/gateway:latest", Digest: "sha256:2"},
		{Container: "k8s-provider", Image: "docker.io/a/provider:latest", Digest: "sha256:3"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("images %+v", got)
	}
}

func TestTroubleOfPods(t *testing.T) {
	t.Parallel()
	waiting := func(reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "goma-gateway", State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "why"}}}}
		}
	}
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"none":     {nil, ""},
		"starting": {waiting("ContainerCreating"), ""},
		"no image": {waiting("ErrImagePull"), "Pod p, container goma-gateway: ErrImagePull: why"},
		"no node": {func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
				Reason: "Unschedulable", Message: "no memory"}}
		}, "Pod p: Unschedulable: no memory"},
	} {
		if got := trouble([]corev1.Pod{pod("p", c.change)}); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAPodLosesWhatIsNeverRead(t *testing.T) {
	t.Parallel()
	p := pod("p", func(p *corev1.Pod) {
		p.Spec.NodeName = "node"
		p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
		p.Labels = map[string]string{"app": "gateway"}
	})
	o, err := trimPod(&p)
	if err != nil {
		t.Fatal(err)
	}
	got := o.(*corev1.Pod)
	if got.Spec.NodeName != "" || got.ManagedFields != nil || got.Labels["app"] != "gateway" || !ready(got) {
		t.Errorf("trimmed: %+v", got)
	}
}

// The form of a Route changes with everything that it depends on.
func TestTheFormOfARoute(t *testing.T) {
	t.Parallel()
	m := func(uid string, generation int64) *v1alpha1.Middleware {
		return &v1alpha1.Middleware{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), Generation: generation}}
	}
	r := func(generation int64) *v1alpha1.Route {
		return &v1alpha1.Route{ObjectMeta: metav1.ObjectMeta{UID: "r", Generation: generation},
			Spec: v1alpha1.RouteSpec{Middlewares: []string{"a", "b"}}}
	}
	type set = map[string]*v1alpha1.Middleware
	forms := []string{
		form(r(1), nil), form(r(2), nil), form(r(1), set{"a": m("1", 1)}), form(r(1), set{"b": m("1", 1)}),
		form(r(1), set{"a": m("1", 2)}), form(r(1), set{"a": m("2", 1)}), form(r(1), set{"a": m("1", 1), "b": m("2", 1)}),
	}
	slices.Sort(forms)
	if n := len(slices.Compact(slices.Clone(forms))); n != 7 {
		t.Errorf("%d different forms of 7: %v", n, forms)
	}
}

func TestARouteIsCheckedAsTheGatewayWouldCheckIt(t *testing.T) {
	t.Parallel()
	route := func(spec v1alpha1.RouteSpec) *v1alpha1.Route {
		return &v1alpha1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "site"}, Spec: spec}
	}
	for name, c := range map[string]struct {
		spec  v1alpha1.RouteSpec
		field string
	}{
		"a good one": {v1alpha1.RouteSpec{Gateways: []string{"g"}, Path: "/", Target: "http://a:1"}, ""},
		"a missing Middleware is not the Route's own fault": {v1alpha1.RouteSpec{Gateways: []string{"g"}, Path: "/", Target: "http://a:1",
			Middlewares: []string{"absent"}}, ""},
		"no Gateway":         {v1alpha1.RouteSpec{Path: "/", Target: "http://a:1"}, "spec.gateways"},
		"a bad target":       {v1alpha1.RouteSpec{Gateways: []string{"g"}, Path: "/", Target: "a:b:c"}, "spec.target"},
		"a bad backend":      {v1alpha1.RouteSpec{Gateways: []string{"g"}, Path: "/", Backends: []v1alpha1.Backend{{Endpoint: "nowhere"}}}, "spec.backends[0].endpoint"},
		"a Secret elsewhere": {v1alpha1.RouteSpec{Gateways: []string{"g"}, Path: "/", Target: "http://a:1", TLS: &v1alpha1.RouteTLS{SecretName: "kube-system/x"}}, "spec.tls.secretName"},
	} {
		problems := checkRoute(route(c.spec))
		if config.HasErrors(problems) != (c.field != "") {
			t.Errorf("%s: %v", name, problems)
			continue
		}
		if c.field != "" && problems[0].Field != c.field {
			t.Errorf("%s: field %q, want %q", name, problems[0].Field, c.field)
		}
	}
}

// R2: without a sidecar the operator finds what the gateway's table would.
func TestConflictsAreThoseOfTheRouteTable(t *testing.T) {
	t.Parallel()
	r := func(name string, age, priority int, hosts ...string) *config.Route {
		return &config.Route{Name: name, Path: "/", Priority: priority, Hosts: hosts, Meta: config.Meta{
			Ref: config.ObjectRef{Kind: "Route", Name: name}, Created: time.Unix(int64(age), 0)}}
	}
	off := r("off", 0, 0, "a.example.com")
	off.Enabled = new(false)
	found := conflicts(&config.Bundle{Routes: []*config.Route{
		off, r("older", 1, 0, "a.example.com"), r("younger", 2, 0, "a.example.com"), r("partly", 3, 0, "a.example.com", "b.example.com"),
	}})
	got := map[string]config.Severity{}
	for _, p := range found {
		got[p.Object.Name] = p.Severity
	}
	if len(got) != 2 || got["younger"] != config.SeverityError || got["partly"] != config.SeverityWarning {
		t.Errorf("conflicts %v", found)
	}
}

func TestAMiddlewareLacksTheSecretsThatItNames(t *testing.T) { // M2, O7, C8
	t.Parallel()
	m := &v1alpha1.Middleware{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "login"}}
	m.Spec.Type = "basicAuth"
	m.Spec.Rule = &apiextensionsv1.JSON{Raw: []byte(
		`{"users":[{"username":"ann","passwordFrom":{"secretKeyRef":{"name":"people","key":"tls.key"}}},{"username":"bob","passwordFrom":{"secretKeyRef":{"name":"others","key":"bob"}}}]}`)}
	if problems := checkMiddleware(m); len(problems) != 0 {
		t.Fatal(problems)
	}
	route := &v1alpha1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "r"}}
	for _, c := range []struct {
		secrets map[string]map[string][]byte
		reason  config.Reason
		says    string
	}{
		{nil, config.ReasonSecretNotFound, "Secret shop/people does not exist; create it with tls.key"},
		{map[string]map[string][]byte{"people": {"x": []byte("canary")}, "others": {"bob": []byte("canary")}}, config.ReasonSecretInvalid, "Secret shop/people has no tls.key"},
		{map[string]map[string][]byte{"people": {"tls.key": []byte("canary")}, "others": {"bob": []byte("canary")}}, "", ""},
	} {
		named, problems, err := newSecrets(&vault{secrets: c.secrets}).middlewareSecrets(t.Context(), m)
		if err != nil || named != 2 {
			t.Fatal(named, err)
		}
		if c.reason == "" {
			if len(problems) != 0 {
				t.Error(problems)
			}
			continue
		}
		p := unusable(route, 0, m, problems)
		if problems[0].Reason != c.reason || p.Reason != c.reason || !strings.Contains(p.Message, c.says) || strings.Contains(p.Message, "canary") {
			t.Errorf("got %s", p)
		}
	}
	m.Spec.Rule.Raw = []byte(`{"users":[{"username":"ann","passwordFrom":{"secretKeyRef":{"name":"bank/people","key":"k"}}}]}`)
	if problems := checkMiddleware(m); len(problems) != 1 || problems[0].Field != "spec.rule.users[0].passwordFrom.secretKeyRef.name" { // T4
		t.Errorf("got %v", problems)
	}
}
