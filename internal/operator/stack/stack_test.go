// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
)

func gateway(change func(*v1alpha1.Gateway)) *v1alpha1.Gateway {
	gw := &v1alpha1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "gateway", UID: "1"}}
	if change != nil {
		change(gw)
	}
	return gw
}

// C8, O7: no secret of a Gateway shows in anything but the generated Secret.
func TestNoSecretShowsOutsideOfSecrets(t *testing.T) {
	t.Parallel()
	s := build(t, filepath.Join("testdata", "redis-metrics.in.yaml"))
	if !bytes.Contains(render(t, stack.Stack{Credentials: s.Credentials}), []byte("Y2hhbmdlbWU=")) {
		t.Error("the generated Secret lacks the password")
	}
	s.Credentials = nil
	if bytes.Contains(render(t, s), []byte("changeme")) {
		t.Error("the password is in an object that is no Secret")
	}
}

// O6: the gateway container has no rights: no token, and without sidecar no Role.
func TestOnlyTheSidecarHoldsAToken(t *testing.T) {
	t.Parallel()
	pod := stack.Build(stack.Input{Gateway: gateway(nil)}).Deployment.Spec.Template.Spec
	if *pod.AutomountServiceAccountToken {
		t.Error("the token is mounted into every container")
	}
	for _, c := range pod.Containers {
		mounted := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "api-token" })
		if mounted != (c.Name == stack.ContainerSidecar) {
			t.Errorf("container %s: token mounted %v", c.Name, mounted)
		}
	}
	off := stack.Build(stack.Input{Gateway: gateway(func(gw *v1alpha1.Gateway) {
		gw.Spec.Providers = &v1alpha1.Providers{Kubernetes: &v1alpha1.KubernetesProvider{Enabled: new(false)}}
	})})
	if off.Role != nil || off.RoleBinding != nil || len(off.Deployment.Spec.Template.Spec.Containers) != 1 {
		t.Error("without the sidecar there is still a Role, a binding or a second container")
	}
}

// A rule without names would grant all objects of the kind.
func TestTheRoleNamesWhatCanBeNamed(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]stack.Input{
		"nothing to name": {Gateway: gateway(nil)},
		"names":           {Gateway: gateway(nil), RouteSecrets: []string{"b", "a", "b"}, Pods: []string{"p"}},
	} {
		for _, rule := range stack.Build(in).Role.Rules {
			for _, resource := range rule.Resources {
				named := resource == "secrets" || resource == "pods" || resource == "gateways"
				if named && len(rule.ResourceNames) == 0 {
					t.Errorf("%s: the rule on %s names nothing", name, resource)
				}
				if resource == "secrets" && !slices.Equal(rule.ResourceNames, []string{"a", "b"}) {
					t.Errorf("%s: secrets %v", name, rule.ResourceNames)
				}
				if slices.Contains(rule.Verbs, "*") {
					t.Errorf("%s: the rule on %s allows everything", name, resource)
				}
			}
		}
	}
}

// O12: an older selector stays, and the pods satisfy it and the Service's.
func TestAnOlderSelectorIsKept(t *testing.T) {
	t.Parallel()
	older := map[string]string{"app": "gateway", "release": "1"}
	s := stack.Build(stack.Input{Gateway: gateway(nil), Selector: older})
	d := s.Deployment
	if len(d.Spec.Selector.MatchLabels) != 2 {
		t.Errorf("selector %v", d.Spec.Selector.MatchLabels)
	}
	for _, selector := range []map[string]string{d.Spec.Selector.MatchLabels, s.Service.Spec.Selector} {
		for k, v := range selector {
			if d.Spec.Template.Labels[k] != v {
				t.Errorf("the pods lack label %s=%s: %v", k, v, d.Spec.Template.Labels)
			}
		}
	}
	if len(s.Service.Spec.Selector) < 3 {
		t.Errorf("the Service's selector catches foreign pods: %v", s.Service.Spec.Selector)
	}
}

// O12: any name of a Secret gives a volume, each Secret once, and no duplicates.
func TestVolumeNamesAreValidAndUnique(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 100) + "z"
	gw := gateway(func(gw *v1alpha1.Gateway) {
		gw.Spec.Providers = &v1alpha1.Providers{Kubernetes: &v1alpha1.KubernetesProvider{Enabled: new(false)}}
		gw.Spec.Server = &v1alpha1.Server{TLS: []v1alpha1.GatewayTLS{{SecretName: "dots.in.it"}, {SecretName: "twice"}, {SecretName: "no/name"}}}
	})
	spec := stack.Build(stack.Input{Gateway: gw, RouteSecrets: []string{"twice", long}}).Deployment.Spec.Template.Spec
	seen := map[string]bool{}
	secrets := map[string]bool{}
	for _, v := range spec.Volumes {
		if problems := validation.IsDNS1123Label(v.Name); len(problems) > 0 || seen[v.Name] {
			t.Errorf("volume %q: %v, seen before: %v", v.Name, problems, seen[v.Name])
		}
		seen[v.Name] = true
		if v.Secret != nil {
			if !*v.Secret.Optional {
				t.Errorf("a missing Secret %s keeps the pod from starting", v.Secret.SecretName) // E4
			}
			secrets[v.Secret.SecretName] = true
		}
	}
	if len(secrets) != 3 || !secrets[long] {
		t.Errorf("secrets mounted: %v", secrets)
	}
}

func TestANameThatCannotNameAServiceIsAProblem(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"gateway": true, "gateway-2": true, strings.Repeat("g", 63): true,
		"a.dotted.name": false, strings.Repeat("g", 64): false,
	} {
		problems := stack.CheckName(gateway(func(gw *v1alpha1.Gateway) { gw.Name = name }))
		if (len(problems) == 0) != ok {
			t.Errorf("%q: %v", name, problems)
		}
		for _, p := range problems {
			if p.Field != "metadata.name" || p.Reason != config.ReasonInvalid {
				t.Errorf("%q: %+v", name, p)
			}
		}
	}
}

// E3, O4: what a gateway takes over while it runs does not roll its pods, and
// everything else does.
func TestPodsRollOnlyForWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	file := func(change func(*config.File)) *config.File {
		f := &config.File{Gateway: config.Gateway{Routes: []config.Route{}}}
		change(f)
		return f
	}
	none := file(func(*config.File) {})
	for name, c := range map[string]struct {
		change func(*config.File)
		rolls  bool
	}{
		"log level":    {func(f *config.File) { f.Gateway.Log.Level = "debug" }, false},
		"timeouts":     {func(f *config.File) { f.Gateway.Timeouts.Read = 7 }, false},
		"certificates": {func(f *config.File) { f.Gateway.TLS = &config.TLS{CertsDir: "/x"} }, false},
		"monitoring":   {func(f *config.File) { f.Gateway.Monitoring.EnableMetrics = true }, false},
		"reload":       {func(f *config.File) { f.Gateway.Reload.Path = "/reload" }, false},
		"redis":        {func(f *config.File) { f.Gateway.Redis = &config.Redis{Addr: "redis:6379"} }, true},
		"certManager":  {func(f *config.File) { f.CertManager = &config.CertManager{Provider: "acme"} }, true},
		"networking":   {func(f *config.File) { f.Gateway.Networking.DNSCache.TTL = new(5) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := newConfig(t, gateway(nil), none), newConfig(t, gateway(nil), file(c.change))
			if before.Checksum == after.Checksum {
				t.Error("the checksum of the file did not change")
			}
			if rolls := before.RestartHash != after.RestartHash; rolls != c.rolls {
				t.Errorf("rolls = %v, want %v", rolls, c.rolls)
			}
			off := gateway(func(gw *v1alpha1.Gateway) {
				gw.Spec.Providers = &v1alpha1.Providers{Kubernetes: &v1alpha1.KubernetesProvider{Enabled: new(false)}}
			})
			if newConfig(t, off, none).RestartHash == newConfig(t, off, file(c.change)).RestartHash {
				t.Error("without the sidecar every change rolls the pods")
			}
		})
	}
}

func newConfig(t *testing.T, gw *v1alpha1.Gateway, f *config.File) stack.Config {
	t.Helper()
	c, err := stack.NewConfig(gw, f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A process does not see its environment change: a new version of a Secret that
// is part of it rolls the pods.
func TestANewVersionOfASecretInTheEnvironmentRollsThePods(t *testing.T) {
	t.Parallel()
	annotation := func(version string) string {
		s := stack.Build(stack.Input{Gateway: gateway(nil), SecretVersions: map[string]string{"redis-auth": version, "other": "1"}})
		return s.Deployment.Spec.Template.Annotations[stack.AnnotationSecretVersions]
	}
	if got := annotation("7"); got != "other@1,redis-auth@7" {
		t.Errorf("annotation %q", got)
	}
	if annotation("7") == annotation("8") {
		t.Error("a new version makes no difference")
	}
}

// O3: every container has requests, or an autoscaler could not compute anything.
func TestEveryContainerHasRequests(t *testing.T) {
	t.Parallel()
	for _, c := range stack.Build(stack.Input{Gateway: gateway(nil)}).Deployment.Spec.Template.Spec.Containers {
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() {
			t.Errorf("container %s requests %v", c.Name, c.Resources.Requests)
		}
	}
}

// E1, K5: the delay and the wait of the gateway, and the stay of the sidecar, are over
// before the pod is killed.
func TestEverythingEndsBeforeThePodIsKilled(t *testing.T) {
	t.Parallel()
	spec := stack.Build(stack.Input{Gateway: gateway(nil)}).Deployment.Spec.Template.Spec
	value := func(container, variable string) time.Duration {
		t.Helper()
		for _, c := range spec.Containers {
			for _, e := range c.Env {
				if c.Name == container && e.Name == variable {
					d, err := time.ParseDuration(e.Value)
					if err != nil {
						t.Fatal(err)
					}
					return d
				}
			}
		}
		t.Fatalf("container %s has no %s", container, variable)
		return 0
	}
	killed := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
	delay := value(stack.ContainerGateway, "GOMA_DRAIN_DELAY")
	stops := delay + value(stack.ContainerGateway, "GOMA_GRACE_PERIOD")
	if delay <= 0 || stops <= delay || stops != killed-2*time.Second {
		t.Errorf("the gateway ends %s after the order, the pod is killed after %s", stops, killed)
	}
	if stays := value(stack.ContainerSidecar, "GOMA_K8S_STOP_DELAY"); stays < stops || stays >= killed {
		t.Errorf("the sidecar stays for %s, the gateway for %s, the pod for %s", stays, stops, killed)
	}
}

// Z3: the pods satisfy the restricted profile and write only into volumes.
func TestPodsAreRestricted(t *testing.T) {
	t.Parallel()
	spec := stack.Build(stack.Input{Gateway: gateway(nil)}).Deployment.Spec.Template.Spec
	p := spec.SecurityContext
	if !*p.RunAsNonRoot || *p.RunAsUser == 0 || p.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod: %+v", p)
	}
	for _, c := range spec.Containers {
		s := c.SecurityContext
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !*s.RunAsNonRoot || s.Capabilities.Drop[0] != "ALL" {
			t.Errorf("container %s: %+v", c.Name, s)
		}
	}
}

// E2: a budget is there for two pods or more, and lets one go: it never keeps a node
// from being drained by itself.
func TestABudgetIsForSeveralPods(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*v1alpha1.GatewaySpec)
		want   bool
	}{
		"one pod":  {func(s *v1alpha1.GatewaySpec) { s.Replicas = new(int32(1)) }, false},
		"none":     {func(s *v1alpha1.GatewaySpec) { s.Replicas = new(int32(0)) }, false},
		"two pods": {func(s *v1alpha1.GatewaySpec) { s.Replicas = new(int32(2)) }, true},
		"two pods, not wanted": {func(s *v1alpha1.GatewaySpec) {
			s.Replicas = new(int32(2))
			s.PodDisruptionBudget = &v1alpha1.PodDisruptionBudget{Enabled: new(false)}
		}, false},
		"one pod, wanted": {func(s *v1alpha1.GatewaySpec) {
			s.PodDisruptionBudget = &v1alpha1.PodDisruptionBudget{Enabled: new(true)}
		}, true},
		"an autoscaler that may two": {func(s *v1alpha1.GatewaySpec) {
			s.Replicas = new(int32(5))
			s.AutoScaling = &v1alpha1.AutoScaling{Enabled: true, MinReplicas: new(int32(2))}
		}, true},
		"an autoscaler that may one": {func(s *v1alpha1.GatewaySpec) {
			s.Replicas = new(int32(5))
			s.AutoScaling = &v1alpha1.AutoScaling{Enabled: true}
		}, false},
	} {
		b := stack.Build(stack.Input{Gateway: gateway(func(gw *v1alpha1.Gateway) { c.change(&gw.Spec) })}).Budget
		if (b != nil) != c.want {
			t.Errorf("%s: budget %v, want one: %t", name, b, c.want)
		} else if b != nil && (b.Spec.MinAvailable != nil || b.Spec.MaxUnavailable.IntValue() != 1) {
			t.Errorf("%s: %+v", name, b.Spec)
		}
	}
}

// E1: what a gateway takes to end fits into the time that its pod has.
func TestAPodEndsWithinItsTime(t *testing.T) {
	t.Parallel()
	for _, grace := range []int64{0, 10, 120} {
		gw := gateway(func(gw *v1alpha1.Gateway) {
			if grace > 0 {
				gw.Spec.TerminationGracePeriodSeconds = &grace
			}
		})
		pod := stack.Build(stack.Input{Gateway: gw}).Deployment.Spec.Template.Spec
		var spent time.Duration
		for _, e := range pod.Containers[0].Env {
			if e.Name == "GOMA_DRAIN_DELAY" || e.Name == "GOMA_GRACE_PERIOD" {
				d, err := time.ParseDuration(e.Value)
				if err != nil || d <= 0 {
					t.Errorf("grace %d: %s is %s", grace, e.Name, e.Value)
				}
				spent += d
			}
		}
		if left := time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second - spent; left != 2*time.Second {
			t.Errorf("grace %d: %s are left for closing, want 2s", grace, left)
		}
	}
}

// The images that an installation pins stand in for the documented ones, and for no other.
func TestAnInstallationPinsTheDocumentedImages(t *testing.T) {
	t.Parallel()
	pinned := stack.Images{Gateway: "example.com/gateway:1", Sidecar: "example.com/provider:1"}
	for _, c := range []struct{ gateway, sidecar, wantGateway, wantSidecar string }{
		{"", "", pinned.Gateway, pinned.Sidecar},
		{stack.DefaultGatewayImage, stack.DefaultSidecarImage, pinned.Gateway, pinned.Sidecar},
		{"own:2", "own-provider:2", "own:2", "own-provider:2"},
	} {
		gw := gateway(func(gw *v1alpha1.Gateway) {
			gw.Spec.Image = c.gateway
			gw.Spec.Providers = &v1alpha1.Providers{Kubernetes: &v1alpha1.KubernetesProvider{Image: c.sidecar}}
		})
		containers := stack.Build(stack.Input{Gateway: gw, Images: pinned}).Deployment.Spec.Template.Spec.Containers
		if containers[0].Image != c.wantGateway || containers[1].Image != c.wantSidecar {
			t.Errorf("%q, %q: got %s and %s", c.gateway, c.sidecar, containers[0].Image, containers[1].Image)
		}
	}
}
