// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

// helm is Helm itself, in a home of its own.
type helm struct {
	stage         *stage
	program, home string
}

func newHelm(s *stage) helm {
	s.t.Helper()
	h := helm{s, filepath.Join(s.t.TempDir(), "helm"), s.t.TempDir()}
	build := exec.CommandContext(s.t.Context(), "go", "build", "-C", "../../internal/tools/helm", "-o", h.program, "helm.sh/helm/v4/cmd/helm")
	if out, err := build.CombinedOutput(); err != nil {
		s.t.Fatalf("building Helm: %v\n%s", err, out)
	}
	return h
}

func (h helm) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(h.stage.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.program, append(args, "--namespace", operatorNamespace)...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+h.home, "HELM_CONFIG_HOME="+h.home, "HELM_DATA_HOME="+h.home)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h helm) run(args ...string) {
	h.stage.t.Helper()
	if out, err := h.try(args...); err != nil {
		h.stage.t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

var chartOf = map[string]string{"goma-crds": "../../deploy/chart-crds", "goma-operator": "../../deploy/chart"}

// Z1: from install.yaml to Helm, an upgrade, a wrong value, and the three steps of an
// uninstallation: what users wrote goes with the last one only. It removes the
// definitions, so nothing runs beside it.
func TestHelmTakesOverUpgradesAndUninstalls(t *testing.T) {
	s := newStage(t)
	h := newHelm(s)
	s.installEverything()
	s.applyText(simpleGateway)
	before := s.operatorDeployment()

	h.run("install", "goma-crds", chartOf["goma-crds"], "--take-ownership", "--force-conflicts")
	h.run("install", "goma-operator", chartOf["goma-operator"], "--take-ownership", "--force-conflicts")
	if after := s.operatorDeployment(); after.UID != before.UID || !equality.Semantic.DeepEqual(after.Spec, before.Spec) {
		t.Errorf("taking over changed the Deployment: %s to %s,\n%+v to\n%+v", before.UID, after.UID, before.Spec, after.Spec)
	}
	h.run("upgrade", "goma-operator", chartOf["goma-operator"], "--set", "replicas=3", "--force-conflicts")
	if d := s.operatorDeployment(); *d.Spec.Replicas != 3 {
		t.Errorf("%d replicas after an upgrade to 3", *d.Spec.Replicas)
	}
	if out, err := h.try("upgrade", "goma-operator", chartOf["goma-operator"], "--set", "replicas=many"); err == nil || !strings.Contains(out, "/replicas") {
		t.Errorf("a wrong value: %v\n%s", err, out)
	}

	h.run("uninstall", "goma-operator")
	s.eventually("nothing of the operator is left", s.operatorGone)
	s.get("gateway", &v1alpha1.Gateway{})

	h.run("uninstall", "goma-crds")
	for name := range s.definitions() {
		if err := s.client.Get(t.Context(), client.ObjectKey{Name: name}, &apiextensionsv1.CustomResourceDefinition{}); err != nil {
			t.Errorf("uninstalling the release of the definitions took %s: %v", name, err)
		}
	}
	s.get("gateway", &v1alpha1.Gateway{})

	for _, d := range s.definitions() {
		if err := s.client.Delete(t.Context(), d); err != nil {
			t.Error(err)
		}
	}
	s.eventually("the definitions are gone, with the objects", s.definitionsGone)
	s.installCRDs()
	if err := s.gone("gateway", &v1alpha1.Gateway{}); err != nil {
		t.Error(err)
	}
}

// installEverything applies install.yaml as kubectl apply --server-side does.
func (s *stage) installEverything() {
	s.t.Helper()
	text, err := os.ReadFile("../../deploy/install.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	all := s.decode(string(text))
	for _, o := range all {
		if o.GetNamespace() != "" {
			o.SetNamespace(operatorNamespace)
		}
		if err := s.apply(o); err != nil {
			s.t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
	s.t.Cleanup(func() {
		for _, o := range all {
			if kind := o.GetKind(); kind == "CustomResourceDefinition" || kind == "Namespace" {
				continue
			}
			if err := s.client.Delete(context.Background(), o); client.IgnoreNotFound(err) != nil {
				s.t.Error(err)
			}
		}
	})
}

func (s *stage) operatorDeployment() *appsv1.Deployment {
	s.t.Helper()
	var d appsv1.Deployment
	if err := s.client.Get(s.t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: operatorAccount}, &d); err != nil {
		s.t.Fatal(err)
	}
	return &d
}

// operatorGone looks for objects that carry the label of the operator.
func (s *stage) operatorGone() error {
	var left []error
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &rbacv1.ClusterRoleList{}, &rbacv1.ClusterRoleBindingList{}, &rbacv1.RoleList{}, &rbacv1.RoleBindingList{},
		&admissionv1.ValidatingAdmissionPolicyList{}, &admissionv1.ValidatingAdmissionPolicyBindingList{},
	} {
		if err := s.client.List(s.t.Context(), list, client.MatchingLabels{"app.kubernetes.io/name": "goma-operator"}); err != nil {
			return err
		}
		if n := meta.LenList(list); n > 0 {
			left = append(left, fmt.Errorf("%d of %T", n, list))
		}
	}
	return errors.Join(left...)
}

func (s *stage) definitions() map[string]*apiextensionsv1.CustomResourceDefinition {
	out := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, kind := range []string{"gateways", "routes", "middlewares"} {
		d := &apiextensionsv1.CustomResourceDefinition{}
		d.Name = kind + "." + v1alpha1.GroupVersion.Group
		out[d.Name] = d
	}
	return out
}

func (s *stage) definitionsGone() error {
	for name, d := range s.definitions() {
		if err := s.client.Get(s.t.Context(), client.ObjectKeyFromObject(d), d); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is still there: %w", name, err)
		}
	}
	return nil
}
