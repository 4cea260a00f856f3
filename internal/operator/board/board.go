// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package board remembers, for each Gateway, which configuration was wanted and
// which of them each pod has answered for. From that it tells of a single Route
// whether its present form is live, although pods answer for whole
// configurations only, and although others change while answers are on their way.
//
// A configuration is known by its checksum and numbered in the order in which
// it was first wanted. A Route carries the number with which its present form
// came. A pod that has answered for that number, or a later one, has the Route.
// So one new Route does not put all others in doubt, and a steady stream of
// changes keeps none from being confirmed.
//
// The board lives in memory. After a restart it knows nothing of a Route until
// a pod answers for a wanted configuration, and says so.
package board

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// history is how many configurations are remembered per Gateway. An answer for
// an older one counts as none, which delays a confirmation and breaks nothing.
const history = 256

// Pod is what a pod of a Gateway has answered.
type Pod struct {
	Name  string
	UID   types.UID
	Ready bool
	// Checksum is the configuration that the pod has; empty when it has not said.
	Checksum string
	// Problems are the pod's own findings: what it set aside and why.
	Problems []config.Problem
	// Certificates are those that the pod obtains.
	Certificates []wire.Certificate
}

// Wanted is a configuration.
type Wanted struct {
	// Checksum identifies it in the answers of pods.
	Checksum string
	// Routes gives the form of each Route in it: any text that changes when the
	// Route, or something that it depends on, does.
	Routes map[string]string
	// Hosts are those of the Routes, by the names of these.
	Hosts map[string][]string
}

// Live tells how a Route stands on the ready pods of a Gateway.
type Live struct {
	// Known is false for a Route that was there when the board began, until every
	// ready pod has answered since: it may or may not be live.
	Known bool
	// Programmed means that each ready pod has the Route's present form, or had
	// it when it was confirmed and the form has not changed since.
	Programmed bool
	// NoPods means that no pod of the Gateway is ready.
	NoPods bool
	// Problems are what pods that have the form report of the Route.
	Problems []config.Problem
	// Certificates are those of the hosts of the Route that ready pods obtain.
	Certificates []wire.Certificate
}

// Board is safe for concurrent use.
type Board struct {
	mu sync.Mutex

	gateways map[types.NamespacedName]*gateway
}

// New gives an empty board.
func New() *Board { return &Board{gateways: map[types.NamespacedName]*gateway{}} }

type gateway struct {
	number  int
	numbers map[string]int // checksum → the newest number it had
	order   []string       // checksums, oldest first, to forget by
	routes  map[string]*route
	pods    map[types.UID]*pod
	current string
	hosts   map[string][]string
}

type route struct {
	form string
	// since is the number of the first configuration that had this form.
	since int
	// confirmed: every ready pod has had it.
	confirmed bool
	last      Live
}

type pod struct {
	Pod

	// number is the newest configuration that the pod has answered for.
	number int
}

// Update notes the wanted configuration and the pods of a Gateway. It returns
// the names of the Routes whose standing has changed, gone ones included.
func (b *Board) Update(key types.NamespacedName, w Wanted, pods []Pod) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.gateways[key]
	if g == nil {
		g = &gateway{numbers: map[string]int{}, routes: map[string]*route{}, pods: map[types.UID]*pod{}}
		b.gateways[key] = g
	}
	g.want(w.Checksum)
	g.hosts = w.Hosts
	changed := g.setRoutes(w.Routes)
	g.setPods(pods)
	return append(changed, g.evaluate()...)
}

// Forget drops a Gateway that no longer exists. It returns its Routes.
func (b *Board) Forget(key types.NamespacedName) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.gateways[key]
	if g == nil {
		return nil
	}
	delete(b.gateways, key)
	var names []string
	for name := range g.routes {
		names = append(names, name)
	}
	return names
}

// Route tells how the present form of a Route stands on a Gateway; false when the
// Gateway has been looked at, but not since the Route took that form. Of a
// Gateway that has not been looked at at all nothing is known.
func (b *Board) Route(key types.NamespacedName, name, form string) (Live, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.gateways[key]
	if g == nil {
		return Live{}, true
	}
	r := g.routes[name]
	if r == nil || r.form != form {
		return Live{}, false
	}
	return r.last, true
}

// Progress counts the ready pods that have the configuration wanted last, and
// all ready ones.
func (b *Board) Progress(key types.NamespacedName) (current, ready int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.gateways[key]
	if g == nil {
		return 0, 0
	}
	for _, p := range g.pods {
		if !p.Ready {
			continue
		}
		ready++
		if p.Checksum == g.current {
			current++
		}
	}
	return current, ready
}
