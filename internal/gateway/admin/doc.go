// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package admin holds the endpoints that the gateway answers itself: liveness,
// readiness, metrics, health of routes, reload, and on the admin listener a dump
// of the configuration and an explanation of routing.
//
// Endpoints are matched by their exact path and never by prefix. On an entry
// point a route that names the same path comes first; on the admin listener there
// are no routes. What tells more than a probe has to know is guarded: metrics by
// their middlewares, reload by its token, and the rest by that token or a
// connection from this machine.
package admin
