// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"strconv"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

// server takes statuses, and gives each a resource version.
type server struct {
	client.Client

	version int
	writes  []v1alpha1.RouteStatus
}

func (s *server) Status() client.SubResourceWriter { return statuses{server: s} }

// statuses is the part of the server that takes them.
type statuses struct {
	client.SubResourceWriter

	server *server
}

func (w statuses) Update(_ context.Context, o client.Object, _ ...client.SubResourceUpdateOption) error {
	s := w.server
	s.version++
	o.SetResourceVersion(strconv.Itoa(s.version))
	s.writes = append(s.writes, o.(*v1alpha1.Route).Status)
	return nil
}

// A cache lags behind. What it shows then is neither written again nor taken for
// what is written. O9
func TestAnObjectIsNotJudgedByACacheWithoutTheLastWrite(t *testing.T) {
	t.Parallel()
	s := &server{version: 7}
	w := &Writer{Client: s}
	cached := route(func(r *v1alpha1.Route) { r.ResourceVersion = "7" })
	ready, pending := v1alpha1.RouteStatus{Ready: true}, v1alpha1.RouteStatus{}
	if written, err := w.Route(t.Context(), cached, ready); !written || err != nil {
		t.Fatalf("written %t, %v", written, err)
	}
	for name, next := range map[string]v1alpha1.RouteStatus{"another write": ready, "the status that the cache still shows": pending} {
		if written, err := w.Route(t.Context(), cached, next); written || !Again(err) {
			t.Errorf("%s: written %t, %v; want to be asked again", name, written, err)
		}
	}
	cached = cached.DeepCopy()
	cached.ResourceVersion, cached.Status = "8", ready
	if written, err := w.Route(t.Context(), cached, pending); !written || err != nil {
		t.Errorf("with the last write in the cache: written %t, %v", written, err)
	}
	if len(s.writes) != 2 || s.writes[1].Ready {
		t.Errorf("writes %v, want two, the last of them not ready", s.writes)
	}
	w.Forget("Route", client.ObjectKeyFromObject(cached))
	if len(w.replaced) != 0 {
		t.Errorf("%d objects are remembered that are gone", len(w.replaced))
	}
}
