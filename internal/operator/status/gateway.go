// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/apply"
)

// GatewayFacts is what is known of a Gateway.
type GatewayFacts struct {
	Gateway *v1alpha1.Gateway
	// Spec are the problems of the Gateway's own fields.
	Spec []config.Problem
	// Refs are the problems of what it refers to.
	Refs []config.Problem
	// Failures are what kept objects from being applied.
	Failures []error
	// ConfigTooLarge is set when the configuration does not fit a ConfigMap or Secret; it says how far off it is.
	ConfigTooLarge string
	// Checksum is that of goma.yml as it was last written; empty when it was not.
	Checksum string
	// Routes counts the valid, enabled Routes; Middlewares those that are used.
	Routes, Middlewares int
	// Deployment and Service as they are; nil when they are not there.
	Deployment *appsv1.Deployment
	Service    *corev1.Service
	// Current and Ready count the ready pods that have the present
	// configuration, and all ready ones.
	Current, Ready int
	// Images are those that the ready pods run.
	Images []v1alpha1.GatewayImage
	// Trouble says why a pod does not become ready; empty when none is known.
	Trouble string
}

// Gateway judges a Gateway. Conditions have no times yet; the Writer sets them.
func Gateway(f GatewayFacts) v1alpha1.GatewayStatus {
	c := conditions{generation: f.Gateway.Generation}
	out := v1alpha1.GatewayStatus{
		Routes:         int32(f.Routes),
		Middlewares:    int32(f.Middlewares),
		ConfigChecksum: f.Checksum,
		Addresses:      addresses(f.Service),
		Images:         f.Images,
	}
	if f.Deployment != nil {
		out.Replicas = f.Deployment.Status.Replicas
		out.ReadyReplicas = f.Deployment.Status.ReadyReplicas
	}
	gatewayAccepted(&c, f)
	gatewayRefs(&c, f)
	available(&c, f, out)
	configSynced(&c, f)
	gatewayProgrammed(&c, f)
	out.Conditions = c.list
	return out
}

func gatewayAccepted(c *conditions, f GatewayFacts) {
	if problems := errorsOf(f.Spec); len(problems) > 0 {
		c.set(Accepted, false, reason(problems), join(problems))
		return
	}
	c.set(Accepted, true, ReasonAccepted, "The Gateway is valid.")
}

func gatewayRefs(c *conditions, f GatewayFacts) {
	if problems := errorsOf(f.Refs); len(problems) > 0 {
		c.set(ResolvedRefs, false, reason(problems), join(problems))
		return
	}
	c.set(ResolvedRefs, true, ReasonResolvedRefs, "Everything that the Gateway refers to is there.")
}

func available(c *conditions, f GatewayFacts, s v1alpha1.GatewayStatus) {
	message := fmt.Sprintf("%d/%d replicas ready", s.ReadyReplicas, s.Replicas)
	if s.ReadyReplicas < s.Replicas && f.Trouble != "" {
		message += ": " + f.Trouble
	}
	c.set(Available, s.ReadyReplicas > 0, ReasonDeploymentStatus, message)
}

func configSynced(c *conditions, f GatewayFacts) {
	switch {
	case f.ConfigTooLarge != "":
		c.set(ConfigSynced, false, ReasonConfigTooLarge, f.ConfigTooLarge)
	case f.Ready == 0:
		c.set(ConfigSynced, false, ReasonNoReadyPods, "No pod is ready.")
	case f.Current < f.Ready:
		c.set(ConfigSynced, false, ReasonPending,
			fmt.Sprintf("%d of %d ready pods have the present configuration.", f.Current, f.Ready))
	default:
		c.set(ConfigSynced, true, ReasonConfigGenerated, fmt.Sprintf(
			"Every ready pod has the present configuration: %d routes, %d middlewares.", f.Routes, f.Middlewares))
	}
}

func gatewayProgrammed(c *conditions, f GatewayFacts) {
	if len(f.Failures) > 0 {
		why, message := failure(f.Failures)
		c.set(Programmed, false, why, message)
		return
	}
	if f.ConfigTooLarge != "" {
		c.set(Programmed, false, ReasonConfigTooLarge, f.ConfigTooLarge)
		return
	}
	if f.Deployment == nil {
		c.set(Programmed, false, ReasonPending, "The Deployment does not exist yet.")
		return
	}
	if message := rollingOut(f.Deployment); message != "" {
		c.set(Programmed, false, ReasonRollingOut, because(message, f.Trouble))
		return
	}
	if f.Deployment.Status.ReadyReplicas == 0 {
		c.set(Programmed, false, ReasonNoReadyPods, because("No pod is ready.", f.Trouble))
		return
	}
	c.set(Programmed, true, ReasonProgrammed, "All objects are as the Gateway asks, and the pods run them.")
}

// because appends a cause, if one is known.
func because(message, cause string) string {
	if cause == "" {
		return message
	}
	return message + " " + cause
}

// failure gives the reason of the first failure and the text of all.
func failure(failures []error) (why, message string) {
	why = ReasonApplyFailed
	var collision *apply.CollisionError
	var rejected *apply.RejectedError
	switch {
	case errors.As(failures[0], &collision):
		why = ReasonConflict
	case errors.As(failures[0], &rejected):
		why = ReasonRejected
	}
	for i, err := range failures {
		if i > 0 {
			message += "; "
		}
		message += err.Error()
	}
	return why, message
}

// rollingOut says what a Deployment still has to do; empty when it is done.
func rollingOut(d *appsv1.Deployment) string {
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	switch {
	case d.Status.ObservedGeneration < d.Generation:
		return "The Deployment has not been looked at by its controller yet."
	case d.Status.UpdatedReplicas < want:
		return fmt.Sprintf("%d of %d pods are up to date.", d.Status.UpdatedReplicas, want)
	case d.Status.Replicas > d.Status.UpdatedReplicas:
		return fmt.Sprintf("%d former pods are ending.", d.Status.Replicas-d.Status.UpdatedReplicas)
	case d.Status.ReadyReplicas < want:
		return fmt.Sprintf("%d of %d pods are ready.", d.Status.ReadyReplicas, want)
	}
	return ""
}

// addresses lists where the Service answers.
func addresses(svc *corev1.Service) []v1alpha1.GatewayAddress {
	if svc == nil {
		return nil
	}
	switch svc.Spec.Type {
	case corev1.ServiceTypeLoadBalancer:
		return ingress(svc)
	case corev1.ServiceTypeNodePort:
		if len(svc.Spec.ExternalIPs) > 0 {
			return ips(svc.Spec.ExternalIPs)
		}
	}
	return clusterIPs(svc)
}

func ingress(svc *corev1.Service) []v1alpha1.GatewayAddress {
	var out []v1alpha1.GatewayAddress
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			out = append(out, v1alpha1.GatewayAddress{Type: "IPAddress", Value: in.IP})
		}
		if in.Hostname != "" {
			out = append(out, v1alpha1.GatewayAddress{Type: "Hostname", Value: in.Hostname})
		}
	}
	return out
}

func clusterIPs(svc *corev1.Service) []v1alpha1.GatewayAddress {
	if svc.Spec.ClusterIP == "" || svc.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	if len(svc.Spec.ClusterIPs) > 0 {
		return ips(svc.Spec.ClusterIPs)
	}
	return ips([]string{svc.Spec.ClusterIP})
}

func ips(list []string) []v1alpha1.GatewayAddress {
	out := make([]v1alpha1.GatewayAddress, len(list))
	for i, ip := range list {
		out[i] = v1alpha1.GatewayAddress{Type: "IPAddress", Value: ip}
	}
	return out
}
