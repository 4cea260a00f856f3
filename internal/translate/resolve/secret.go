// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema/rules"
)

// The keys of Secrets that routes use.
const (
	KeyCertificate = corev1.TLSCertKey       // tls.crt
	KeyPrivateKey  = corev1.TLSPrivateKeyKey // tls.key
	KeyAuthority   = "ca.crt"
)

// SecretRef is one field that names a Secret.
type SecretRef struct {
	// Object and Field are who names it, and where.
	Object config.ObjectRef
	Field  string
	// Secret is in the namespace of Object.
	Secret types.NamespacedName
	// Keys are what the Secret must hold: a certificate and its private key, or
	// certificates of authorities.
	Keys []string
	// Value says that they are values of a rule, whatever they are called: no
	// certificate is looked for in them.
	Value bool `json:"Value,omitempty"`
}

// SecretUse is all that is needed of one Secret.
type SecretUse struct {
	Secret types.NamespacedName
	// Keys is the union of what is needed, in order.
	Keys []string
	// UsedBy are the fields that name the Secret, by object and field.
	UsedBy []SecretRef
}

// RouteSecrets gives every Secret that a Route itself names. A name that no Secret can
// have is a problem of the Route and gives no reference.
func RouteSecrets(r *v1alpha1.Route) ([]SecretRef, []config.Problem) {
	pair := []string{KeyCertificate, KeyPrivateKey}
	var refs []SecretRef
	add := func(field, name string, keys []string) {
		refs = append(refs, SecretRef{
			Object: RouteRef(r), Field: field,
			Secret: types.NamespacedName{Namespace: r.Namespace, Name: name}, Keys: keys,
		})
	}
	if t := r.Spec.TLS; t != nil {
		add("spec.tls.secretName", t.SecretName, pair)
		if t.ClientAuth != nil {
			add("spec.tls.clientAuth.caSecret", t.ClientAuth.CASecret, []string{KeyAuthority})
		}
	}
	if s := r.Spec.Security; s != nil && s.TLS != nil {
		if s.TLS.RootCAsSecret != "" {
			add("spec.security.tls.rootCAsSecret", s.TLS.RootCAsSecret, []string{KeyAuthority})
		}
		if s.TLS.ClientCertSecret != "" {
			add("spec.security.tls.clientCertSecret", s.TLS.ClientCertSecret, pair)
		}
	}
	var problems []config.Problem
	refs = slices.DeleteFunc(refs, func(ref SecretRef) bool {
		if ValidName(ref.Secret.Name) {
			return false
		}
		problems = append(problems, notAName(ref.Object, ref.Field, "Secret", ref.Secret.Name))
		return true
	})
	return refs, problems
}

// MiddlewareSecrets gives every Secret that the rule of a Middleware names. What is no
// reference, or names what no Secret can have, is a problem of the Middleware and
// gives none.
func MiddlewareSecrets(m *v1alpha1.Middleware) ([]SecretRef, []config.Problem) {
	if m.Spec.Rule == nil {
		return nil, nil
	}
	named, problems := config.RuleSecrets(m.Spec.Rule.Raw, rules.Secrets(m.Spec.Type))
	for i := range problems {
		problems[i].Object, problems[i].Field = MiddlewareRef(m), "spec."+problems[i].Field
	}
	var refs []SecretRef
	for _, s := range named {
		field := "spec.rule." + s.Field + config.From + ".secretKeyRef"
		switch {
		case !ValidName(s.Name):
			problems = append(problems, notAName(MiddlewareRef(m), field+".name", "Secret", s.Name))
		case len(validation.IsConfigMapKey(s.Key)) > 0:
			problems = append(problems, config.Problem{
				Object: MiddlewareRef(m), Field: field + ".key", Reason: config.ReasonInvalid,
				Message: fmt.Sprintf("%q is not a key that a Secret can have: use letters, digits, '-', '_' and '.'", s.Key),
			})
		default:
			refs = append(refs, SecretRef{
				Object: MiddlewareRef(m), Field: field, Value: true, Keys: []string{s.Key},
				Secret: types.NamespacedName{Namespace: m.Namespace, Name: s.Name},
			})
		}
	}
	return refs, problems
}

// notAName is the problem of a name that no object can have.
func notAName(object config.ObjectRef, field, kind, name string) config.Problem {
	message := fmt.Sprintf("%q is not the name of a %s: use lower case letters, digits, '-' and '.'", name, kind)
	if strings.ContainsAny(name, "/@") {
		message = fmt.Sprintf("%q is not the name of a %s: name one of this namespace, without anything in front of or behind the name", name, kind)
	}
	if name == "" {
		message = fmt.Sprintf("the name of the %s is empty: name one of this namespace", kind)
	}
	return config.Problem{Object: object, Field: field, Reason: config.ReasonInvalid, Message: message}
}

// Uses gathers references by Secret, ordered by name whatever their order was.
func Uses(refs []SecretRef) []SecretUse {
	bySecret := map[types.NamespacedName]*SecretUse{}
	for _, ref := range refs {
		use := bySecret[ref.Secret]
		if use == nil {
			use = &SecretUse{Secret: ref.Secret}
			bySecret[ref.Secret] = use
		}
		use.UsedBy = append(use.UsedBy, ref)
		use.Keys = append(use.Keys, ref.Keys...)
	}
	list := make([]SecretUse, 0, len(bySecret))
	for _, use := range bySecret {
		slices.Sort(use.Keys)
		use.Keys = slices.Compact(use.Keys)
		slices.SortFunc(use.UsedBy, compareRefs)
		list = append(list, *use)
	}
	slices.SortFunc(list, func(a, b SecretUse) int { return strings.Compare(a.Secret.String(), b.Secret.String()) })
	return list
}

func compareRefs(a, b SecretRef) int {
	if c := strings.Compare(a.Object.String(), b.Object.String()); c != 0 {
		return c
	}
	return strings.Compare(a.Field, b.Field)
}

// Missing is the problem of a reference to a Secret that does not exist.
func (r SecretRef) Missing() config.Problem {
	return config.Problem{
		Object: r.Object, Field: r.Field, Reason: config.ReasonSecretNotFound,
		Message: fmt.Sprintf("Secret %s does not exist; create it with %s", r.Secret, strings.Join(r.Keys, " and ")),
	}
}

// Check tells what is wrong with the content of the Secret for this reference;
// nil when it can be used. The message holds nothing of the content.
func (r SecretRef) Check(data map[string][]byte) *config.Problem {
	for _, key := range r.Keys {
		if len(data[key]) == 0 {
			return r.invalid(fmt.Sprintf("has no %s; it must hold %s", key, strings.Join(r.Keys, " and ")))
		}
	}
	if r.Value {
		return nil
	}
	if slices.Contains(r.Keys, KeyPrivateKey) {
		if _, err := tls.X509KeyPair(data[KeyCertificate], data[KeyPrivateKey]); err != nil {
			return r.invalid(fmt.Sprintf("does not hold a certificate and its private key: %v", err))
		}
	}
	if slices.Contains(r.Keys, KeyAuthority) && !x509.NewCertPool().AppendCertsFromPEM(data[KeyAuthority]) {
		return r.invalid("holds no certificate in " + KeyAuthority)
	}
	return nil
}

func (r SecretRef) invalid(what string) *config.Problem {
	return &config.Problem{
		Object: r.Object, Field: r.Field, Reason: config.ReasonSecretInvalid,
		Message: fmt.Sprintf("Secret %s %s", r.Secret, what),
	}
}
