// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// Images that are used when the Gateway names none.
const (
	DefaultGatewayImage = "jkaninda/goma-gateway:latest"
	DefaultSidecarImage = "jkaninda/goma-k8s-provider:latest"
)

// Ports that the containers listen on.
const (
	ContainerHTTP     = 8080
	ContainerHTTPS    = 8443
	ContainerAdmin    = 9902
	ContainerProvider = 9903
)

// Times of the end of a pod, in seconds from the order to stop. The gateway serves
// on as before for drainDelaySeconds, while load balancers take notice; then it
// takes nothing new and waits for what runs, until closingSeconds are left. The sidecar ends
// when the gateway has, and at that time in any case; the rest is for closing. E1, K5
const (
	gracePeriodSeconds = 60
	drainDelaySeconds  = 5
	closingSeconds     = 2
)

func gracePeriod(gw *v1alpha1.Gateway) int64 {
	if s := gw.Spec.TerminationGracePeriodSeconds; s != nil {
		return *s
	}
	return gracePeriodSeconds
}

// stopSeconds is when a pod has stopped.
func stopSeconds(gw *v1alpha1.Gateway) int64 { return gracePeriod(gw) - closingSeconds }

// Images are those of a Gateway that names none, or the documented default.
type Images struct {
	Gateway, Sidecar string
}

// image is what a user names, or what the operator was told to take in place of
// the documented default.
func image(named, documented, told string) string {
	if told != "" && (named == "" || named == documented) {
		return told
	}
	return or(named, documented)
}

func gatewayContainer(in Input) corev1.Container {
	gw := in.Gateway
	return corev1.Container{
		Name:            ContainerGateway,
		Image:           image(gw.Spec.Image, DefaultGatewayImage, in.Images.Gateway),
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         []string{"/usr/local/bin/goma"},
		Args:            []string{"server", "--config", configDir + "/" + ConfigKey},
		Ports: []corev1.ContainerPort{
			{Name: portHTTP, ContainerPort: ContainerHTTP, Protocol: corev1.ProtocolTCP},
			{Name: portHTTPS, ContainerPort: ContainerHTTPS, Protocol: corev1.ProtocolTCP},
			{Name: portAdmin, ContainerPort: ContainerAdmin, Protocol: corev1.ProtocolTCP},
		},
		Env:             slices.Concat(gatewayEnv(gw), secretEnv(gw), gw.Spec.Env),
		EnvFrom:         secretEnvFrom(gw),
		Resources:       gatewayResources(gw.Spec.Resources),
		VolumeMounts:    gatewayMounts(gw, in.RouteSecrets),
		SecurityContext: containerSecurity(),
		// The probes use the internal listener: on the others a Route may take
		// the same path. A process that runs is not restarted because its routes
		// have not come yet, so only readiness asks for them.
		StartupProbe:   probe(portAdmin, "/healthz", probeTimes{period: 2, timeout: 1, failures: 30}),
		ReadinessProbe: probe(portAdmin, "/readyz", probeTimes{period: 5, timeout: 2, failures: 3}),
		LivenessProbe:  probe(portAdmin, "/healthz", probeTimes{period: 10, timeout: 3, failures: 3}),
	}
}

func gatewayEnv(gw *v1alpha1.Gateway) []corev1.EnvVar {
	out := []corev1.EnvVar{
		// Where the Secrets are that Middlewares name: as the sidecar writes them, or
		// mounted.
		{Name: "GOMA_SECRETS_DIR", Value: translate.RouteCerts(gw).RouteCerts},
		{Name: "GOMA_ENTRYPOINT_ADMIN_ADDRESS", Value: ":" + strconv.Itoa(ContainerAdmin)},
		{Name: "GOMA_DRAIN_DELAY", Value: seconds(drainDelaySeconds)},
		{Name: "GOMA_GRACE_PERIOD", Value: seconds(stopSeconds(gw) - drainDelaySeconds)},
	}
	return append(out, storeEnv(gw, "GOMA_CERT_STORE_SOCKET")...)
}

// storeEnv tells a container where the store of obtained certificates is reached.
func storeEnv(gw *v1alpha1.Gateway, name string) []corev1.EnvVar {
	if !translate.SharedStore(gw) {
		return nil
	}
	return []corev1.EnvVar{{Name: name, Value: translate.StoreSocket}}
}

func sidecarEnv(gw *v1alpha1.Gateway) []corev1.EnvVar {
	out := []corev1.EnvVar{
		{Name: "GOMA_K8S_GATEWAY", Value: gw.Name},
		fromField("GOMA_K8S_NAMESPACE", "metadata.namespace"),
		fromField("GOMA_K8S_POD", "metadata.name"),
		{Name: "GOMA_K8S_OUTPUT_DIR", Value: translate.ProviderDir},
		{Name: "GOMA_K8S_CERTS_DIR", Value: translate.RouteCertsDir},
		{Name: "GOMA_K8S_LISTEN", Value: ":" + strconv.Itoa(ContainerProvider)},
		{Name: "GOMA_K8S_STOP_DELAY", Value: seconds(stopSeconds(gw))},
		{Name: "GOMA_K8S_GATEWAY_HEALTH", Value: "http://127.0.0.1:" + strconv.Itoa(ContainerAdmin) + "/healthz"},
	}
	return append(out, storeEnv(gw, "GOMA_K8S_STORE_SOCKET")...)
}

func seconds(n int64) string { return strconv.FormatInt(n, 10) + "s" }

func sidecar(in Input) corev1.Container {
	gw, named := in.Gateway, ""
	if p := gw.Spec.Providers; p != nil && p.Kubernetes != nil {
		named = p.Kubernetes.Image
	}
	return corev1.Container{
		Name:            ContainerSidecar,
		Image:           image(named, DefaultSidecarImage, in.Images.Sidecar),
		ImagePullPolicy: corev1.PullIfNotPresent,
		Ports: []corev1.ContainerPort{
			{Name: portSidecar, ContainerPort: ContainerProvider, Protocol: corev1.ProtocolTCP},
		},
		Env: sidecarEnv(gw),
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("10m"),
			corev1.ResourceMemory: resource.MustParse("32Mi"),
		}},
		VolumeMounts:    sidecarMounts(),
		SecurityContext: containerSecurity(),
		// No readiness probe: with the API server away the sidecar is not ready,
		// and the gateway beside it goes on serving what it has.
		StartupProbe:  probe(portSidecar, "/healthz", probeTimes{period: 2, timeout: 1, failures: 30}),
		LivenessProbe: probe(portSidecar, "/healthz", probeTimes{period: 10, timeout: 3, failures: 3}),
	}
}

// gatewayResources adds a request for each resource that has neither request
// nor limit: with one container unmeasured an autoscaler could not compute a
// utilisation at all. Where only a limit is given it is the request too.
func gatewayResources(r corev1.ResourceRequirements) corev1.ResourceRequirements {
	out := *r.DeepCopy()
	modest := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("100m"),
		corev1.ResourceMemory: resource.MustParse("64Mi"),
	}
	for name, quantity := range modest {
		_, requested := out.Requests[name]
		_, limited := out.Limits[name]
		if requested || limited {
			continue
		}
		if out.Requests == nil {
			out.Requests = corev1.ResourceList{}
		}
		out.Requests[name] = quantity
	}
	return out
}

// probeTimes are in seconds, but for failures, a count.
type probeTimes struct{ period, timeout, failures int32 }

func probe(port, path string, t probeTimes) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromString(port), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds:    t.period,
		TimeoutSeconds:   t.timeout,
		SuccessThreshold: 1,
		FailureThreshold: t.failures,
	}
}

func fromField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path},
	}}
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
