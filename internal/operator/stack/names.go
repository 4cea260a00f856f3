// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// Labels and annotations of generated objects.
const (
	LabelApp       = "app"
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelPartOf    = "app.kubernetes.io/part-of"
	// LabelGateway names the Gateway; only objects of the operator carry it, so
	// that no foreign pod with a common app label is caught by a selector.
	LabelGateway = "gateway.jkaninda.dev/gateway"

	// ManagedBy and PartOf are the values of two of the labels.
	ManagedBy = "goma-operator"
	PartOf    = "goma-gateway"

	// AnnotationConfigHash is the hash of what a running gateway cannot take
	// over without a restart. It rolls the pods, and a pod shows by it which
	// configuration it was started with.
	AnnotationConfigHash = "goma.jkaninda.dev/config-hash"
	// AnnotationSecretVersions are the versions of the Secrets in the environment.
	AnnotationSecretVersions = "goma.jkaninda.dev/secret-versions"
)

// Names within the pod.
const (
	ContainerGateway = "goma-gateway"
	ContainerSidecar = "k8s-provider"

	portHTTP    = "http"
	portHTTPS   = "https"
	portAdmin   = "admin"
	portSidecar = "provider"
)

// maxName is the longest name that fits a label value and a Service.
const maxName = 63

// Labels are on every object and on the pods.
func Labels(gateway string) map[string]string {
	return map[string]string{
		LabelApp:       gateway,
		LabelManagedBy: ManagedBy,
		LabelPartOf:    PartOf,
		LabelGateway:   gateway,
	}
}

// selector picks the pods of a Gateway. It is more than the app label, which a
// foreign workload may well carry too.
func selector(gateway string) map[string]string { return Labels(gateway) }

// CredentialsName is the name of the Secret that holds what was written in
// plain text in the Gateway.
func CredentialsName(gateway string) string { return gateway + "-credentials" }

// secretVolume names the volume of a Secret. Secret names may be longer than a
// volume's and may hold dots, hence a hash.
func secretVolume(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "secret-" + hex.EncodeToString(sum[:8])
}

// CheckName reports a Gateway whose name cannot name its Service: every
// generated object has the Gateway's own name.
func CheckName(gw *v1alpha1.Gateway) []config.Problem {
	var reason string
	switch {
	case len(gw.Name) > maxName:
		reason = "is longer than 63 characters"
	case len(validation.IsDNS1123Label(gw.Name)) > 0:
		reason = "holds other characters than lower-case letters, digits and '-'"
	default:
		return nil
	}
	return []config.Problem{{
		Object: resolve.GatewayRef(client.ObjectKeyFromObject(gw)),
		Field:  "metadata.name",
		Reason: config.ReasonInvalid,
		Message: "the name " + reason + ", so it cannot name the Service; " +
			"create the Gateway under a name such as " + suggestion(gw.Name),
	}}
}

// suggestion turns an unusable name into a usable one.
func suggestion(name string) string {
	s := strings.ReplaceAll(name, ".", "-")
	if len(s) > maxName {
		s = s[:maxName]
	}
	return strings.Trim(s, "-")
}
