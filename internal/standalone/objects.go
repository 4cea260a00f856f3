// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema"
)

// Objects are those of all manifests, with their defaults, in the order of the
// files.
type Objects struct {
	Gateways    []*v1alpha1.Gateway
	Routes      []*v1alpha1.Route
	Middlewares []*v1alpha1.Middleware
	// Secrets hold their stringData in Data.
	Secrets    map[types.NamespacedName]*corev1.Secret
	ConfigMaps map[types.NamespacedName]*corev1.ConfigMap
	// Files counts those that were read, Count the objects.
	Files, Count int
	// Kept are the objects whose last good version is among these, because an
	// edit has broken them.
	Kept []config.ObjectRef

	documents map[key]schema.Document
	// refused are in the manifests, but not as anything that could be used.
	refused map[key]bool
}

func newObjects(files int) *Objects {
	return &Objects{
		Files: files, Secrets: map[types.NamespacedName]*corev1.Secret{}, documents: map[key]schema.Document{},
		refused: map[key]bool{}, ConfigMaps: map[types.NamespacedName]*corev1.ConfigMap{},
	}
}

// add takes the objects of a file. One whose name is taken is reported and left out.
func (o *Objects) add(m *manifest) []config.Problem {
	var problems []config.Problem
	o.Kept = append(o.Kept, m.kept...)
	for _, k := range m.refused {
		o.refused[k] = true
	}
	for _, x := range m.objects {
		if first, taken := o.documents[x.key]; taken {
			problems = append(problems, duplicate(x, first))
			continue
		}
		if err := o.addTyped(x); err != nil {
			problems = append(problems, config.Problem{
				Object: x.key.ref(), Reason: config.ReasonInvalid, Message: err.Error(), Position: x.doc.Position(""),
			})
			continue
		}
		o.documents[x.key] = x.doc
		o.Count++
	}
	return problems
}

func duplicate(x object, first schema.Document) config.Problem {
	at := first.Position("metadata.name")
	return config.Problem{
		Object: x.key.ref(), Field: "metadata.name", Reason: config.ReasonDuplicateName, Position: x.doc.Position("metadata.name"),
		Message: fmt.Sprintf("there is a %s with this name at %s, which is used; rename one of them", x.key.Kind, at),
	}
}

// addTyped gives the object the form of its kind.
func (o *Objects) addTyped(x object) (err error) {
	switch x.key.Kind {
	case "Gateway":
		o.Gateways, err = typed(o.Gateways, x)
	case "Route":
		o.Routes, err = typed(o.Routes, x)
	case "Middleware":
		o.Middlewares, err = typed(o.Middlewares, x)
	case "Secret":
		var list []*corev1.Secret
		if list, err = typed(list, x); err != nil {
			return err
		}
		o.Secrets[types.NamespacedName{Namespace: x.key.Namespace, Name: x.key.Name}] = withPlainData(list[0])
	case "ConfigMap":
		var list []*corev1.ConfigMap
		if list, err = typed(list, x); err != nil {
			return err
		}
		o.ConfigMaps[types.NamespacedName{Namespace: x.key.Namespace, Name: x.key.Name}] = list[0]
	}
	return err
}

func typed[T any](list []*T, x object) ([]*T, error) {
	t := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(x.content.Object, t); err != nil {
		return list, fmt.Errorf("reading the object: %w", err)
	}
	return append(list, t), nil
}

// withPlainData does what the API server does with stringData.
func withPlainData(s *corev1.Secret) *corev1.Secret {
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for k, v := range s.StringData {
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	return s
}

// secretData gives the content of a Secret; nil when no manifest holds it.
func (o *Objects) secretData(name types.NamespacedName) map[string][]byte {
	if s := o.Secrets[name]; s != nil {
		return s.Data
	}
	return nil
}
