// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package admin

import "net/http"

// RouteState is the health of a route, or of one backend of it.
type RouteState struct {
	Name string `json:"name"`
	// Status is healthy or unhealthy.
	Status string `json:"status"`
	Error  string `json:"error"`
}

// RouteHealth answers with the last results of the probes; it probes nothing
// itself, so asking often costs the backends nothing. The first status is that
// of the gateway, and the answer is 200 whatever the backends are.
func RouteHealth(list func() []RouteState) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, http.StatusOK, struct {
			Status string       `json:"status"`
			Routes []RouteState `json:"routes"`
		}{"healthy", list()})
	})
}
