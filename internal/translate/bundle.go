// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// Input is what a Bundle is made of. Objects that do not belong to the Gateway
// may be among it; they make no difference.
type Input struct {
	Gateway     types.NamespacedName
	Routes      []*v1alpha1.Route
	Middlewares []*v1alpha1.Middleware
	// Monitoring are the names of MonitoringMiddlewares.
	Monitoring []string
	Paths      Paths
}

// Output is what an Input amounts to.
type Output struct {
	// Bundle holds the Routes of the Gateway, disabled ones too, by priority, age
	// and name, and the Middlewares that are used, by name. A Route that names
	// something missing is in it, and answers 503; one that cannot be translated
	// is not.
	Bundle *config.Bundle
	// Problems are about Routes, Middlewares and the Gateway, in a fixed order.
	// Of Secrets it only knows their names.
	Problems []config.Problem
	// Secrets are what the Routes and Middlewares of the Bundle need, by name. T2
	Secrets []resolve.SecretUse
}

// Bundle translates the Routes of a Gateway and the Middlewares that they use.
// It is pure: the same objects in any order give the same Output.
func Bundle(in Input) Output {
	s := NewState(in.Gateway, in.Paths)
	s.SetMonitoring(in.Monitoring)
	routes, twice := unique(in.Routes, in.Gateway.Namespace, resolve.RouteRef)
	for _, r := range routes {
		s.SetRoute(r)
	}
	middlewares, more := unique(in.Middlewares, in.Gateway.Namespace, resolve.MiddlewareRef)
	for _, m := range middlewares {
		s.SetMiddleware(m)
	}
	out := s.Output()
	if len(twice)+len(more) > 0 {
		out.Problems = append(out.Problems, append(twice, more...)...)
		slices.SortStableFunc(out.Problems, compareProblems)
	}
	return out
}

// unique takes the objects of a namespace, and of several with one name, which
// only files can hold, the oldest. Where age does not tell, the content does.
func unique[T metav1.Object](list []T, namespace string, ref func(T) config.ObjectRef) ([]T, []config.Problem) {
	first := map[string]T{}
	var out []T
	var problems []config.Problem
	for _, o := range list {
		if o.GetNamespace() != namespace {
			continue
		}
		other, taken := first[o.GetName()]
		if !taken {
			first[o.GetName()] = o
			continue
		}
		problems = append(problems, config.Problem{
			Object: ref(o), Field: "metadata.name", Reason: config.ReasonDuplicateName,
			Message: fmt.Sprintf("there is another %s with this name, which is served; give this one a name of its own", ref(o).Kind),
		})
		if before(o, other) {
			first[o.GetName()] = o
		}
	}
	for _, o := range first {
		out = append(out, o)
	}
	return out, problems
}

func before(a, b metav1.Object) bool {
	return cmp.Or(
		a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time),
		bytes.Compare(content(a), content(b)),
	) < 0
}

// content orders objects that nothing else does.
func content(o any) []byte {
	data, err := json.Marshal(o)
	if err != nil {
		return nil
	}
	return data
}

// compareProblems orders problems by object, field and text.
func compareProblems(a, b config.Problem) int {
	return cmp.Or(
		strings.Compare(a.Object.Kind, b.Object.Kind),
		strings.Compare(a.Object.Name, b.Object.Name),
		strings.Compare(a.Field, b.Field),
		strings.Compare(a.Message, b.Message),
	)
}
