// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package upstream is everything between a route and its backends: which endpoint
// takes a request, whether it is healthy, and the connections to it.
//
// What routes share is shared: transports are keyed by how they speak (TLS
// settings, protocol), probes by what they ask, never by route. So a route that
// changes keeps the connections and the health of its endpoints, and what no route
// uses any more is closed once its last request has ended.
package upstream
