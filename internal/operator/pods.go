// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/board"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// sortPods orders pods by name and drops those that have ended.
func sortPods(pods []corev1.Pod) []corev1.Pod {
	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods
}

func podNames(pods []corev1.Pod) []string {
	names := make([]string, len(pods))
	for i := range pods {
		names[i] = pods[i].Name
	}
	return names
}

// answers gives what the pods say of themselves. With a sidecar that is its
// report; without one a pod has the configuration that it was started with, and
// finds what the operator finds.
func answers(pods []corev1.Pod, p plan) []board.Pod {
	out := make([]board.Pod, 0, len(pods))
	for i := range pods {
		pod := &pods[i]
		answer := board.Pod{Name: pod.Name, UID: pod.UID, Ready: ready(pod)}
		if p.sidecar {
			answer.Checksum, answer.Problems = reported(pod)
			// What cannot be read has been written by another release: nothing is known.
			answer.Certificates, _ = wire.ParseCertificates(pod.Annotations[wire.CertificatesAnnotation])
		} else {
			answer.Checksum, answer.Problems = pod.Annotations[stack.AnnotationConfigHash], p.findings
		}
		out = append(out, answer)
	}
	return out
}

// reported reads the report of a pod. One that cannot be read is as good as
// none: the pod is asked again by the next change.
func reported(pod *corev1.Pod) (checksum string, problems []config.Problem) {
	text := pod.Annotations[wire.ReportAnnotation]
	if text == "" {
		return "", nil
	}
	report, err := wire.ParseReport(text)
	if err != nil {
		return "", nil
	}
	return report.Checksum, report.Problems
}

// ready tells whether a pod takes traffic. A pod that is ending does not count:
// it only finishes what it has.
func ready(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	c := condition(pod, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// maxImages bounds the list in a status.
const maxImages = 16

// images are those that ready pods run, each once and in a fixed order: what is
// behind a tag, and whether all pods have the same. Z5
func images(pods []corev1.Pod) []v1alpha1.GatewayImage {
	var out []v1alpha1.GatewayImage
	for i := range pods {
		if !ready(&pods[i]) {
			continue
		}
		for _, c := range pods[i].Status.ContainerStatuses {
			image := v1alpha1.GatewayImage{Container: c.Name, Image: c.Image, Digest: c.ImageID[strings.LastIndexByte(c.ImageID, '@')+1:]}
			if !slices.Contains(out, image) {
				out = append(out, image)
			}
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.GatewayImage) int {
		return cmp.Or(cmp.Compare(a.Container, b.Container), cmp.Compare(a.Image, b.Image), cmp.Compare(a.Digest, b.Digest))
	})
	return out[:min(len(out), maxImages)]
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// trouble says why a pod does not become ready; empty when all are ready or just
// starting. What keeps a container from running is told before a pod that no node
// has room for: it would keep that one from running too.
func trouble(pods []corev1.Pod) string {
	for _, look := range []func(*corev1.Pod) string{containerTrouble, nodeTrouble} {
		for i := range pods {
			if text := look(&pods[i]); text != "" {
				return text
			}
		}
	}
	return ""
}

func nodeTrouble(pod *corev1.Pod) string {
	if c := condition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		return fmt.Sprintf("Pod %s: %s: %s", pod.Name, c.Reason, c.Message)
	}
	return ""
}

func containerTrouble(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			text := fmt.Sprintf("Pod %s, container %s: %s", pod.Name, c.Name, w.Reason)
			if w.Message != "" {
				text += ": " + w.Message
			}
			return text
		}
	}
	return ""
}
