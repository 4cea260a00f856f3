// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// report is what the pod carries.
func (s *sidecarScene) report(pod string) (wire.Report, error) {
	var p corev1.Pod
	if err := s.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: pod}, &p); err != nil {
		return wire.Report{}, err
	}
	text, ok := p.Annotations[wire.ReportAnnotation]
	if !ok {
		return wire.Report{}, fmt.Errorf("pod %s has no report", pod)
	}
	return wire.ParseReport(text)
}

// TestSidecarCarriesTheAnswerOfTheGatewayToItsPod also begins without the right
// to do so, which the operator grants when it sees the pod.
func TestSidecarCarriesTheAnswerOfTheGatewayToItsPod(t *testing.T) {
	t.Parallel()
	s := newSidecarScene(t)
	s.grantBasics()
	s.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "gateway"}})
	for _, name := range []string{"own", "other"} {
		s.create(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"foreign": "stays"}},
			Spec:       corev1.PodSpec{ServiceAccountName: "gateway", Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		})
	}
	a := s.route("a", "http://a")
	a.Spec.Middlewares = []string{"missing"}
	s.create(a)
	o := s.sidecarDirs()
	o.Config, o.Pod = s.as(), "own"
	c := s.start(o)
	c.wait(map[string]string{"a": "http://a"})
	v := c.view()
	answer := wire.Answer{Generation: v.Generation, Checksum: v.Checksum, Routes: 1, Version: "v1", Problems: []config.Problem{
		{Object: config.ObjectRef{Kind: "Route", Name: "a"}, Reason: config.ReasonMiddlewareNotFound, Message: "the gateway sees it too"},
		{Object: config.ObjectRef{Kind: "Route", Name: "a"}, Reason: config.ReasonConflicted, Message: "only the gateway sees this"},
	}}
	if err := wire.WriteAnswer(o.OutputDir, answer); err != nil {
		t.Fatal(err)
	}
	s.until("the sidecar has been refused", func() error {
		if _, metrics := c.get("/metrics"); !contains(metrics, `reports_total{result="error"}`, 1) {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	s.grant("pod", "", []string{"pods"}, []string{"own"}, []string{"get", "patch"})
	s.until("the report", func() error {
		r, err := s.report("own")
		if err != nil {
			return err
		}
		if r.Checksum != v.Checksum || r.Routes != 1 || r.Version != "v1" || len(r.Problems) != 2 {
			return fmt.Errorf("report %+v", r)
		}
		return nil
	})

	answer.Generation, answer.Problems = 99, nil
	for i := range 50 { // the last one wins
		answer.Routes = i
		if err := wire.WriteAnswer(o.OutputDir, answer); err != nil {
			t.Fatal(err)
		}
	}
	s.until("the last report", func() error {
		r, err := s.report("own")
		if err != nil || r.Routes != 49 || r.Generation != 99 {
			return fmt.Errorf("report %+v, %w", r, err)
		}
		return nil
	})
	edit(s, a, func(r *v1alpha1.Route) { r.Spec.Middlewares = nil })
	s.until("a report without problems", func() error {
		r, err := s.report("own")
		if err != nil || len(r.Problems) != 0 {
			return fmt.Errorf("report %+v, %w", r, err)
		}
		return nil
	})
	var own corev1.Pod
	if err := s.Get(t.Context(), client.ObjectKey{Namespace: s.ns, Name: "own"}, &own); err != nil {
		t.Fatal(err)
	}
	if own.Annotations["foreign"] != "stays" {
		t.Error("another annotation is gone")
	}
	if _, err := s.report("other"); err == nil {
		t.Error("another pod has a report")
	}
}

// contains tells whether a metric has at least a value.
func contains(metrics, name string, least int) bool {
	for line := range strings.Lines(metrics) {
		var value int
		if _, err := fmt.Sscanf(line, "goma_k8s_provider_"+name+" %d", &value); err == nil && value >= least {
			return true
		}
	}
	return false
}
