// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package definition says what a middleware type is. Each type lives in a folder
// of its own beside this one and gives a Type; package middleware lists them.
package definition

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

// Type is one kind of middleware.
type Type struct {
	// Names are the spellings of the type; the first is the usual one.
	Names []string
	// Phase is where in a route's chain the type acts.
	Phase Phase
	// Security marks types that protect: they are never left out.
	Security bool
	// Scoped types are for the paths of the middleware only; others are always for
	// the whole route.
	Scoped bool
	// Secrets are the fields that a Secret may stand for, such as users[].password:
	// the rule then has passwordFrom in the place of password. The value is put in
	// before Parse sees the rule.
	Secrets []string
	// Parse reads and checks a rule. With an error among the problems there is no
	// Rule, and the routes that use it answer 503. Fields start with "rule".
	Parse func(raw json.RawMessage) (Rule, []config.Problem)
}

// Phase is a part of a route's chain.
type Phase int

const (
	// Chain runs in the order of the route's list, before the backend.
	Chain Phase = iota
	// Outer runs around everything else of the route, whatever its position in
	// the list, so that it also sees the answers of the gateway itself.
	Outer
	// Inner runs directly before the backend, whatever its position in the list,
	// so that it may ask the backend again without anything else acting twice.
	Inner
)

// Rule is the parsed and valid settings of one middleware.
type Rule interface {
	// Handler gives the step for one route. It is called once per change, not
	// per request. An error makes the route answer 503.
	Handler(b Build, next http.Handler) (http.Handler, error)
}

// Build is what a Rule may use to become a handler.
type Build struct {
	// Name is the name of the middleware.
	Name string
	// Paths limits the middleware to a part of the route; empty is all of it.
	Paths []string
	Route RouteInfo
	// Pool holds state that outlives a Snapshot. Each value that is taken from it
	// is handed to Track, which releases it when the route leaves.
	Pool  *pool.Pool
	Track func(release func())
	// DependOn, if set, takes the absolute path of a file whose change makes the
	// handler anew. It is called before the file is read.
	DependOn func(path string)
	Logger   *slog.Logger
	Version  string
	// Store is what the replicas of the gateway share; nil where each is alone.
	Store store.Store
	// Counters are the numbers that middlewares tell of; nil counts for nobody.
	Counters *counter.Set
	// GeoDatabase is the path of the database of countries; empty is none.
	GeoDatabase string
	// FilesDir is the directory of the files that a rule may name; empty is none. No
	// other file may be read for a rule. T8
	FilesDir string
	// FilesHere says of a check that these files are on this machine, so that they
	// are read.
	FilesHere bool
	// CheckOnly says that the handler will never serve, so that what takes long to
	// load need not be.
	CheckOnly bool
}

// RouteInfo is what a middleware may know of its route.
type RouteInfo struct {
	Name, Path, Target string
	Hosts, Methods     []string
}
