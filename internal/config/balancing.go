// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

// The policies of LoadBalancing.
const (
	PolicyRoundRobin     = "roundRobin"
	PolicyLeastRequest   = "leastRequest"
	PolicyConsistentHash = "consistentHash"
)

// LoadBalancing is how the requests of a route are shared out among its backends.
type LoadBalancing struct {
	// Policy is roundRobin, leastRequest or consistentHash; empty is roundRobin.
	Policy string `json:"policy,omitempty"`
	// HashOn is what consistentHash looks at; without it, the client's address.
	HashOn *HashOn `json:"hashOn,omitempty"`
	Sticky *Sticky `json:"sticky,omitempty"`
	// SlowStart is how long a backend that has come back gets less than its share.
	SlowStart Duration `json:"slowStart,omitempty"`
}

// HashOn names a value of a request: Source is header, cookie, query, ip or path.
type HashOn struct {
	Source string `json:"source"`
	Name   string `json:"name,omitempty"`
}

// Sticky keeps a client at the backend that it had before.
type Sticky struct {
	Cookie StickyCookie `json:"cookie"`
}

// StickyCookie remembers a client's backend. Name, if empty, is made of the route's.
// MaxAge is in seconds; 0 is until the browser ends.
type StickyCookie struct {
	Name     string `json:"name,omitempty"`
	Path     string `json:"path,omitempty"`
	Domain   string `json:"domain,omitempty"`
	MaxAge   int    `json:"maxAge,omitempty"`
	Secure   bool   `json:"secure,omitempty"`
	HTTPOnly *bool  `json:"httpOnly,omitempty"`
	SameSite string `json:"sameSite,omitempty"`
}

// OutlierDetection takes backends out whose answers to requests show that they are
// ill. What is zero or missing has the default that package upstream tells.
type OutlierDetection struct {
	ConsecutiveErrors  int      `json:"consecutiveErrors,omitempty"`
	BaseEjectionTime   Duration `json:"baseEjectionTime,omitempty"`
	MaxEjectionTime    Duration `json:"maxEjectionTime,omitempty"`
	MaxEjectionPercent *int     `json:"maxEjectionPercent,omitempty"`
	PanicThreshold     *int     `json:"panicThreshold,omitempty"`
}

// RouteTimeouts bound the requests of a route to its backends. Zero is the gateway's
// default: for Connect 5 seconds, for ResponseHeader that of the transport, for the
// others none.
type RouteTimeouts struct {
	Connect        Duration `json:"connect,omitempty"`
	ResponseHeader Duration `json:"responseHeader,omitempty"`
	Idle           Duration `json:"idle,omitempty"`
	Total          Duration `json:"total,omitempty"`
}
