// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Explanation tells where a request would go, and why not elsewhere.
type Explanation struct {
	Method string `json:"method"`
	Host   string `json:"host"`
	Path   string `json:"path"`
	// Route serves; empty when none does.
	Route string `json:"route,omitempty"`
	// Status is what the gateway itself would answer; 0 when the request would
	// reach the route's middlewares and backend.
	Status int `json:"status,omitempty"`
	// Reason says why, where the gateway itself answers.
	Reason     string      `json:"reason,omitempty"`
	Candidates []Candidate `json:"candidates,omitempty"`
	// Omitted is how many more candidates there are, all further away.
	Omitted int `json:"omitted,omitempty"`
}

// Candidate is a route that was near.
type Candidate struct {
	Route string `json:"route"`
	// Host is the pattern that takes the host, if one does.
	Host string `json:"host,omitempty"`
	Path string `json:"path"`
	// Failed says what kept the route from serving.
	Failed string `json:"failed,omitempty"`
}

// RouteInfo is a route that is live.
type RouteInfo struct {
	Name    string   `json:"name"`
	Source  string   `json:"source,omitempty"`
	Hosts   []string `json:"hosts"`
	Path    string   `json:"path"`
	Methods []string `json:"methods,omitempty"`
	// Problem says why the route answers 503.
	Problem string `json:"problem,omitempty"`
}

// routes lists the routes, or explains one request: ?url=https://host/path and,
// GET by default, &method=.
func (e *Endpoints) routes(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	target := query.Get("url")
	if target == "" {
		writeJSON(w, r, http.StatusOK, map[string]any{"routes": e.o.Routes()})
		return
	}
	out, err := Explain(query.Get("method"), target, e.o.Explain)
	if err != nil {
		reply.Error(w, r, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, r, http.StatusOK, out)
}

// Explain brings a method, GET by default, and a URL into the form that a request for
// it has within the gateway, and has it explained. The error is for what is no URL; a
// path that the gateway refuses is explained as that.
func Explain(method, target string, explain func(method, scheme, host, path string) Explanation) (Explanation, error) {
	if method = strings.ToUpper(method); method == "" {
		method = http.MethodGet
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Explanation{}, fmt.Errorf("%q is no URL; write it like https://example.com/path", target)
	}
	host, err := normal.Host(u.Host)
	if err != nil {
		return Explanation{}, fmt.Errorf("the host of %q: %w", target, err)
	}
	raw := rawPath(target)
	path, err := normal.Path(raw)
	if err != nil {
		return Explanation{Method: method, Host: host, Path: raw, Status: http.StatusBadRequest, Reason: err.Error()}, nil //nolint:nilerr // that is the explanation
	}
	return explain(method, u.Scheme, host, path), nil
}

// rawPath gives the path of an absolute URL as it was written; url.Parse would
// already have decoded it.
func rawPath(target string) string {
	_, rest, _ := strings.Cut(target, "://")
	i := strings.IndexAny(rest, "/?#")
	if i < 0 || rest[i] != '/' {
		return "/"
	}
	rest = rest[i:]
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}
