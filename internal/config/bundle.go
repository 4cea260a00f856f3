// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"time"
)

// Bundle is a set of routes and middlewares: what every source delivers.
//
// A source keeps the pointer of an object that did not change, so that merge and
// compile do work only for what did. Objects are immutable once in a Bundle.
type Bundle struct {
	Version     string            `json:"version,omitempty"`
	Routes      []*Route          `json:"routes"`
	Middlewares []*Middleware     `json:"middlewares,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Checksum    string            `json:"checksum,omitempty"`
	Timestamp   string            `json:"timestamp,omitempty"`
}

// Meta is where an object came from. It is not part of the document.
type Meta struct {
	Ref ObjectRef
	// Position is where the object begins; Place tells it of a field.
	Position Position
	// Created orders objects of equal rank: the older one serves. Zero for
	// sources without such a time, where the order of the list decides.
	Created time.Time

	places places
}

// Route sends requests that match to a backend.
type Route struct {
	Name             string            `json:"name"`
	Path             string            `json:"path"`
	Rewrite          string            `json:"rewrite,omitempty"`
	Target           string            `json:"target,omitempty"`
	Methods          []string          `json:"methods,omitempty"`
	Hosts            []string          `json:"hosts,omitempty"`
	Backends         []Backend         `json:"backends,omitempty"`
	Priority         int               `json:"priority,omitempty"`
	Enabled          *bool             `json:"enabled,omitempty"`
	Middlewares      []string          `json:"middlewares,omitempty"`
	HealthCheck      *HealthCheck      `json:"healthCheck,omitempty"`
	LoadBalancing    *LoadBalancing    `json:"loadBalancing,omitempty"`
	OutlierDetection *OutlierDetection `json:"outlierDetection,omitempty"`
	Timeouts         *RouteTimeouts    `json:"timeouts,omitempty"`
	Security         *RouteSecurity    `json:"security,omitempty"`
	TLS              *RouteTLS         `json:"tls,omitempty"`
	Maintenance      *Maintenance      `json:"maintenance,omitempty"`
	DisableMetrics   bool              `json:"disableMetrics,omitempty"`
	// CORS and ErrorInterceptor are deprecated forms of middlewares.
	CORS             json.RawMessage `json:"cors,omitempty"`
	ErrorInterceptor json.RawMessage `json:"errorInterceptor,omitempty"`

	Meta Meta `json:"-"`
}

// Backend is one of the endpoints that a route shares its requests out to.
type Backend struct {
	Endpoint  string         `json:"endpoint"`
	Weight    int            `json:"weight,omitempty"`
	Match     []BackendMatch `json:"match,omitempty"`
	Exclusive bool           `json:"exclusive,omitempty"`
	Priority  int            `json:"priority,omitempty"`
}

// BackendMatch is a condition on a request: Source is header, cookie, query or ip.
type BackendMatch struct {
	Source   string `json:"source"`
	Name     string `json:"name,omitempty"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
}

// HealthCheck asks each backend of a route for its health, at every Interval.
type HealthCheck struct {
	Path            string   `json:"path"`
	Interval        Duration `json:"interval,omitempty"`
	Timeout         Duration `json:"timeout,omitempty"`
	HealthyStatuses []int    `json:"healthyStatuses,omitempty"`
}

// RouteSecurity is how a route treats what it passes on.
type RouteSecurity struct {
	ForwardHostHeaders      *bool       `json:"forwardHostHeaders,omitempty"`
	EnableExploitProtection bool        `json:"enableExploitProtection,omitempty"`
	TLS                     *BackendTLS `json:"tls,omitempty"`
}

// BackendTLS is how the gateway speaks TLS to a backend. Each file is a path,
// PEM text, or base64 of PEM text, and each may be used alone.
type BackendTLS struct {
	InsecureSkipVerify bool       `json:"insecureSkipVerify,omitempty"`
	RootCAs            string     `json:"rootCAs,omitempty"`
	ClientCert         string     `json:"clientCert,omitempty"`
	ClientKey          PrivateKey `json:"clientKey,omitempty"`
}

// RouteTLS is the serving certificate of a route's hosts. Certificate and
// Certificates are both read; Certificates is written by nobody.
type RouteTLS struct {
	Provider     string        `json:"provider,omitempty"`
	Certificate  *Certificate  `json:"certificate,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
	// ClientAuth asks clients of the route for certificates.
	ClientAuth *RouteClientAuth `json:"clientAuth,omitempty"`
}

// RouteClientAuth lets in clients with a certificate of an authority: ClientCA is a
// file, PEM text, or base64 of it. Mode is required, also when it is empty, or optional,
// where a client without one passes too.
type RouteClientAuth struct {
	ClientCA string `json:"clientCA"`
	Mode     string `json:"mode,omitempty"`
}

// The values of RouteClientAuth.Mode.
const (
	ClientAuthRequired = "required"
	ClientAuthOptional = "optional"
)

// Maintenance makes a route answer by itself. The spellings status and body are
// read too.
type Maintenance struct {
	Enabled    bool   `json:"enabled"`
	StatusCode int    `json:"statusCode,omitempty"`
	Message    string `json:"message,omitempty"`
}

// Middleware is a named step of a route's chain. Rule is what its type takes,
// as JSON whatever the document's syntax was.
type Middleware struct {
	Name  string          `json:"name"`
	Type  string          `json:"type"`
	Paths []string        `json:"paths,omitempty"`
	Rule  json.RawMessage `json:"rule,omitempty"`

	Meta Meta `json:"-"`
}
