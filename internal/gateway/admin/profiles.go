// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"net/http"
	"net/http/pprof"
)

// profiles are the endpoints that package net/http/pprof describes, each by its exact
// path. The command line is not among them: it is nobody's business.
func profiles() map[string]http.Handler {
	const root = "/debug/pprof/"
	list := map[string]http.Handler{
		root:             http.HandlerFunc(pprof.Index),
		root + "profile": http.HandlerFunc(pprof.Profile),
		root + "symbol":  http.HandlerFunc(pprof.Symbol),
		root + "trace":   http.HandlerFunc(pprof.Trace),
	}
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		list[root+name] = pprof.Handler(name)
	}
	return list
}
