// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// configDir is where the ConfigMap is mounted, as a folder: a file mounted by
// subPath would never see a change.
const configDir = "/etc/goma/static"

// tokenDir is where client libraries look for the token of the pod.
const tokenDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// Volumes other than those of Secrets.
const (
	volumeConfig   = "config"
	volumeProvider = "k8s-provider"
	volumeStore    = "acme-data"
	volumeCerts    = "route-certs"
	volumeToken    = "api-token"
	volumeGitKey   = "git-ssh"
	volumeTemp     = "tmp"
	volumeObjects  = "objects"
)

// secretMode lets the group of the pod read: the files belong to root.
const secretMode = 0o440

func volumes(in Input) []corev1.Volume {
	gw, routeSecrets := in.Gateway, in.RouteSecrets
	out := []corev1.Volume{
		{Name: volumeConfig, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: gw.Name},
			DefaultMode:          new(int32(0o444)),
		}}},
		scratch(volumeTemp, "1Gi", corev1.StorageMediumDefault),
		scratch(volumeStore, "64Mi", corev1.StorageMediumDefault),
	}
	if translate.SidecarEnabled(gw) {
		out = append(out,
			scratch(volumeProvider, "1Gi", corev1.StorageMediumDefault),
			// Private keys stay off the node's disk.
			scratch(volumeCerts, "64Mi", corev1.StorageMediumMemory),
			tokenVolume())
	} else {
		out = append(out, objectsVolume(in))
	}
	for _, name := range mountedSecrets(gw, routeSecrets) {
		out = append(out, secretVolumeOf(secretVolume(name), name))
	}
	if name := gitKeySecret(gw); name != "" {
		out = append(out, secretVolumeOf(volumeGitKey, name))
	}
	return out
}

func gatewayMounts(gw *v1alpha1.Gateway, routeSecrets []string) []corev1.VolumeMount {
	out := []corev1.VolumeMount{
		{Name: volumeConfig, MountPath: configDir, ReadOnly: true},
		{Name: volumeTemp, MountPath: "/tmp"},
		{Name: volumeStore, MountPath: translate.StoreDir},
	}
	if translate.SidecarEnabled(gw) {
		out = append(out,
			// Not read-only: the gateway puts its answer beside the routes.
			corev1.VolumeMount{Name: volumeProvider, MountPath: translate.ProviderDir},
			corev1.VolumeMount{Name: volumeCerts, MountPath: translate.RouteCertsDir, ReadOnly: true})
	} else {
		out = append(out, corev1.VolumeMount{Name: volumeObjects, MountPath: objectsDir, ReadOnly: true})
	}
	for _, name := range mountedSecrets(gw, routeSecrets) {
		out = append(out, corev1.VolumeMount{
			Name: secretVolume(name), MountPath: translate.CertsDir + "/" + name, ReadOnly: true,
		})
	}
	if gitKeySecret(gw) != "" {
		out = append(out, corev1.VolumeMount{Name: volumeGitKey, MountPath: translate.GitKeyDir, ReadOnly: true})
	}
	return out
}

func sidecarMounts() []corev1.VolumeMount {
	return []corev1.VolumeMount{
		{Name: volumeProvider, MountPath: translate.ProviderDir},
		{Name: volumeStore, MountPath: translate.StoreDir},
		{Name: volumeCerts, MountPath: translate.RouteCertsDir},
		{Name: volumeToken, MountPath: tokenDir, ReadOnly: true},
	}
}

// mountedSecrets lists, sorted and each once, the Secrets that the pods mount
// as certificates: those of the Gateway and, without sidecar, of its Routes.
func mountedSecrets(gw *v1alpha1.Gateway, routeSecrets []string) []string {
	set := map[string]bool{}
	if s := gw.Spec.Server; s != nil {
		for _, t := range s.TLS {
			set[t.SecretName] = true
		}
	}
	if !translate.SidecarEnabled(gw) {
		for _, name := range routeSecrets {
			set[name] = true
		}
	}
	// A name that no Secret can have would have the whole Deployment refused.
	maps.DeleteFunc(set, func(name string, _ bool) bool { return !resolve.ValidName(name) })
	return slices.Sorted(maps.Keys(set))
}

// gitKeySecret names the Secret with the key of the Git source; empty for none.
func gitKeySecret(gw *v1alpha1.Gateway) string {
	p := gw.Spec.Providers
	if p == nil || p.Git == nil || !p.Git.Enabled || p.Git.Auth == nil || p.Git.Auth.Type != gitSSH {
		return ""
	}
	return p.Git.Auth.SecretName
}

// secretVolumeOf is optional, so that a missing Secret keeps no pod from
// starting; its files appear when it does.
func secretVolumeOf(volume, secret string) corev1.Volume {
	return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName:  secret,
		DefaultMode: new(int32(secretMode)),
		Optional:    new(true),
	}}}
}

func scratch(name, limit string, medium corev1.StorageMedium) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
		Medium: medium, SizeLimit: new(resource.MustParse(limit)),
	}}}
}

// objectsVolume joins the routes of the ConfigMap and the middlewares of the
// generated Secret in one folder.
func objectsVolume(in Input) corev1.Volume {
	sources := []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: in.Gateway.Name},
		Items:                []corev1.KeyToPath{{Key: RoutesKey, Path: RoutesKey}},
	}}}
	if in.Config.Middlewares != "" {
		sources = append(sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: CredentialsName(in.Gateway.Name)},
			Items:                []corev1.KeyToPath{{Key: MiddlewaresKey, Path: MiddlewaresKey}},
		}})
	}
	return corev1.Volume{Name: volumeObjects, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(int32(secretMode)), Sources: sources,
	}}}
}

// tokenVolume is what automounting would mount into every container.
func tokenVolume() corev1.Volume {
	return corev1.Volume{Name: volumeToken, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(int32(secretMode)),
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: new(int64(3607))}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
				Path:     "namespace",
				FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"},
			}}}},
		},
	}}}
}

func index(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }
