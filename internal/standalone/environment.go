// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
)

// secretEnvironment gives the variables that the gateway's container would get
// from Secrets and ConfigMaps, by reading the Deployment as a kubelet does: what is named alone
// wins over what comes as a whole. The goma.yml refers to its secrets by them.
func (p *Plan) secretEnvironment(o *Objects) map[string]string {
	env := map[string]string{}
	for _, c := range p.Stack.Deployment.Spec.Template.Spec.Containers {
		if c.Name != stack.ContainerGateway {
			continue
		}
		for _, from := range c.EnvFrom {
			if from.SecretRef != nil {
				for k, v := range p.secret(o, from.SecretRef.Name) {
					env[from.Prefix+k] = string(v)
				}
			}
		}
		for _, v := range c.Env {
			if value, ok := p.value(o, v.ValueFrom); ok {
				env[v.Name] = value
			}
		}
	}
	return env
}

// value gives what a variable is taken from, where a manifest holds that.
func (p *Plan) value(o *Objects, from *corev1.EnvVarSource) (text string, ok bool) {
	switch {
	case from == nil:
	case from.SecretKeyRef != nil:
		data, found := p.secret(o, from.SecretKeyRef.Name)[from.SecretKeyRef.Key]
		return string(data), found
	case from.ConfigMapKeyRef != nil:
		if m := o.ConfigMaps[types.NamespacedName{Namespace: p.Gateway.Namespace, Name: from.ConfigMapKeyRef.Name}]; m != nil {
			text, ok = m.Data[from.ConfigMapKeyRef.Key]
		}
	}
	return text, ok
}

// secret gives the content of a Secret of the Gateway's namespace: one that would
// be generated, or one of a manifest.
func (p *Plan) secret(o *Objects, name string) map[string][]byte {
	if c := p.Stack.Credentials; c != nil && c.Name == name {
		return c.Data
	}
	return o.secretData(types.NamespacedName{Namespace: p.Gateway.Namespace, Name: name})
}

// expander reads the variables of Secrets first, and then others.
func expander(secrets map[string]string, others config.Expander) config.Expander {
	return func(name string) (string, bool) {
		if value, ok := secrets[name]; ok {
			return value, true
		}
		if others == nil {
			return "", false
		}
		return others(name)
	}
}
