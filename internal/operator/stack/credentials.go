// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// Keys of the generated Secret.
const (
	keyRedisPassword = "redis-password"
	keyReloadToken   = "reload-token"
	keyHTTPHeaders   = "http-headers"
)

// Credentials holds what the Gateway spells out in plain text, and the rules of
// its middlewares where no sidecar delivers them, so that neither the ConfigMap nor
// the pod template does. Nil when there is nothing to hold.
func Credentials(gw *v1alpha1.Gateway, c Config) *corev1.Secret {
	s := gw.Spec.Server
	if s == nil {
		s = &v1alpha1.Server{}
	}
	data := map[string][]byte{}
	if c.Middlewares != "" {
		data[MiddlewaresKey] = []byte(c.Middlewares)
	}
	if s.Redis != nil && s.Redis.Password != "" {
		data[keyRedisPassword] = []byte(s.Redis.Password)
	}
	if s.Reload != nil && s.Reload.Token != "" {
		data[keyReloadToken] = []byte(s.Reload.Token)
	}
	if hidden := translate.HiddenHeaders(gw); hidden != nil {
		// Maps of text are always encoded, and in the order of their keys.
		data[keyHTTPHeaders], _ = json.Marshal(hidden)
	}
	if len(data) == 0 {
		return nil
	}
	m := meta(gw)
	m.Name = CredentialsName(gw.Name)
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: m,
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	}
}

// SecretRef is a Secret that the Gateway itself refers to.
type SecretRef struct {
	resolve.SecretRef

	// Environment tells that a running process does not see it change.
	Environment bool
}

// Secrets lists the Secrets that a Gateway names, in the order of its fields.
func Secrets(gw *v1alpha1.Gateway) []SecretRef {
	var out []SecretRef
	if s := gw.Spec.Server; s != nil {
		for i, t := range s.TLS {
			out = append(out, SecretRef{SecretRef: ref(gw, index("spec.server.tls", i)+".secretName", t.SecretName,
				resolve.KeyCertificate, resolve.KeyPrivateKey)})
		}
		if s.Redis != nil && s.Redis.PasswordSecret != nil {
			from := s.Redis.PasswordSecret
			out = append(out, SecretRef{Environment: true,
				SecretRef: ref(gw, "spec.server.redis.passwordSecret", from.Name, from.Key)})
		}
	}
	out = append(out, acmeSecrets(gw)...)
	return append(out, providerSecrets(gw)...)
}

// acmeSecrets lists the Secrets by which certificates are obtained.
func acmeSecrets(gw *v1alpha1.Gateway) (out []SecretRef) {
	c := gw.Spec.CertManager
	if c == nil || c.ACME == nil {
		return nil
	}
	const field = "spec.certManager.acme."
	add := func(name, secret string, keys ...string) {
		out = append(out, SecretRef{Environment: true, SecretRef: ref(gw, field+name, secret, keys...)})
	}
	a := c.ACME
	if a.CredentialsSecret != "" {
		add("credentialsSecret", a.CredentialsSecret)
	}
	if a.EAB != nil {
		add("eab.hmacKeySecret", a.EAB.HMACKeySecret.Name, a.EAB.HMACKeySecret.Key)
	}
	if from := a.RootCAsFrom; from != nil && from.SecretKeyRef != nil {
		add("rootCAsFrom.secretKeyRef", from.SecretKeyRef.Name, from.SecretKeyRef.Key)
	}
	return out
}

// providerSecrets lists the Secrets of the enabled sources.
func providerSecrets(gw *v1alpha1.Gateway) []SecretRef {
	p := gw.Spec.Providers
	if p == nil {
		return nil
	}
	var out []SecretRef
	if h := p.HTTP; h != nil && h.Enabled && h.HeadersSecret != "" {
		out = append(out, SecretRef{Environment: true,
			SecretRef: ref(gw, "spec.providers.http.headersSecret", h.HeadersSecret)})
	}
	if g := p.Git; g != nil && g.Enabled && g.Auth != nil {
		out = append(out, SecretRef{Environment: g.Auth.Type != gitSSH,
			SecretRef: ref(gw, "spec.providers.git.auth.secretName", g.Auth.SecretName, gitKeys(g.Auth.Type)...)})
	}
	return out
}

func ref(gw *v1alpha1.Gateway, field, secret string, keys ...string) resolve.SecretRef {
	return resolve.SecretRef{
		Object: resolve.GatewayRef(client.ObjectKeyFromObject(gw)),
		Field:  field,
		Secret: types.NamespacedName{Namespace: gw.Namespace, Name: secret},
		Keys:   keys,
	}
}

// gitSSH is the type of Git credentials that is mounted as a file.
const gitSSH = "ssh"

func gitKeys(authType string) []string {
	switch authType {
	case "token":
		return []string{"token"}
	case "basic":
		return []string{"username", "password"}
	case gitSSH:
		return []string{translate.GitKeyFile}
	}
	return nil
}

// secretEnv gives the variables that goma.yml refers to. Every reference is
// optional: a Secret that is missing must not keep a pod from starting, the
// gateway serves what does not need it and the Gateway's status names it.
func secretEnv(gw *v1alpha1.Gateway) []corev1.EnvVar {
	var out []corev1.EnvVar
	if s := gw.Spec.Server; s != nil {
		if s.Redis != nil && s.Redis.PasswordSecret != nil {
			out = append(out, fromSecret(translate.EnvRedisPassword, s.Redis.PasswordSecret.Name, s.Redis.PasswordSecret.Key))
		} else if s.Redis != nil && s.Redis.Password != "" {
			out = append(out, fromSecret(translate.EnvRedisPassword, CredentialsName(gw.Name), keyRedisPassword))
		}
		if s.Reload != nil && s.Reload.Token != "" {
			out = append(out, fromSecret(translate.EnvReloadToken, CredentialsName(gw.Name), keyReloadToken))
		}
	}
	out = append(out, acmeEnv(gw.Spec.CertManager)...)
	if translate.HiddenHeaders(gw) != nil {
		out = append(out, fromSecret(translate.EnvHTTPHeaders, CredentialsName(gw.Name), keyHTTPHeaders))
	}
	return append(out, gitEnv(gw.Spec.Providers)...)
}

func acmeEnv(c *v1alpha1.CertManager) (out []corev1.EnvVar) {
	if c == nil || c.ACME == nil {
		return nil
	}
	a := c.ACME
	if a.CredentialsSecret != "" {
		out = append(out, fromSecret(translate.EnvDNSToken, a.CredentialsSecret, "apiToken"))
	}
	if a.EAB != nil {
		out = append(out, fromSecret(translate.EnvExternalKey, a.EAB.HMACKeySecret.Name, a.EAB.HMACKeySecret.Key))
	}
	switch from := a.RootCAsFrom; {
	case from == nil:
	case from.SecretKeyRef != nil:
		out = append(out, fromSecret(translate.EnvACMERoots, from.SecretKeyRef.Name, from.SecretKeyRef.Key))
	case from.ConfigMapKeyRef != nil:
		out = append(out, fromConfigMap(translate.EnvACMERoots, from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key))
	}
	return out
}

func gitEnv(p *v1alpha1.Providers) []corev1.EnvVar {
	if p == nil || p.Git == nil || !p.Git.Enabled || p.Git.Auth == nil {
		return nil
	}
	secret := p.Git.Auth.SecretName
	switch p.Git.Auth.Type {
	case "token":
		return []corev1.EnvVar{fromSecret(translate.EnvGitToken, secret, "token")}
	case "basic":
		return []corev1.EnvVar{
			fromSecret(translate.EnvGitUsername, secret, "username"),
			fromSecret(translate.EnvGitPassword, secret, "password"),
		}
	}
	return nil
}

// secretEnvFrom gives the Secrets whose every key becomes a variable: the
// header values of the HTTP source, and credentials of DNS providers that need
// more than one.
func secretEnvFrom(gw *v1alpha1.Gateway) []corev1.EnvFromSource {
	var out []corev1.EnvFromSource
	if c := gw.Spec.CertManager; c != nil && c.ACME != nil && c.ACME.CredentialsSecret != "" {
		out = append(out, allOf(c.ACME.CredentialsSecret))
	}
	if p := gw.Spec.Providers; p != nil && p.HTTP != nil && p.HTTP.Enabled && p.HTTP.HeadersSecret != "" {
		out = append(out, allOf(p.HTTP.HeadersSecret))
	}
	return out
}

func fromSecret(variable, secret, key string) corev1.EnvVar {
	return corev1.EnvVar{Name: variable, ValueFrom: &corev1.EnvVarSource{
		SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret},
			Key:                  key,
			Optional:             new(true),
		},
	}}
}

func fromConfigMap(variable, name, key string) corev1.EnvVar {
	return corev1.EnvVar{Name: variable, ValueFrom: &corev1.EnvVarSource{
		ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: name},
			Key:                  key,
			Optional:             new(true),
		},
	}}
}

func allOf(secret string) corev1.EnvFromSource {
	return corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: secret},
		Optional:             new(true),
	}}
}
