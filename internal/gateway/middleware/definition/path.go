// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package definition

import (
	"net/http"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// ServePath hands a request on with another path, which is given in normal form.
// Middlewares further on go by it; afterwards the Exchange tells again what was
// asked for, for the access log. The request that came in is not changed.
func ServePath(next http.Handler, w http.ResponseWriter, r *http.Request, path string) {
	out := r.WithContext(r.Context())
	u := *r.URL
	u.Path, u.RawPath = normal.Decode(path), path
	out.URL = &u
	x := exchange.Of(r)
	defer func(asked string) { x.Path = asked }(x.Path)
	x.Path = path
	next.ServeHTTP(w, out)
}
