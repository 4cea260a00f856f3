// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package ratelimit bounds how many requests a client may send, by a token bucket
// per client: a client may use up the capacity at once, and gets it back at a
// steady rate. Clients that go on after many refusals can be banned for a while.
//
// The buckets live in memory, per route and middleware, and outlive reloads that
// do not change the rule. Their number is bounded: the least recently seen client
// is forgotten first. CORS preflights and ACME challenges are not counted.
package ratelimit

import (
	"crypto/sha256"
	"encoding/json"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is rateLimit, also written ratelimit.
var Type = definition.Type{Names: []string{"rateLimit", "ratelimit"}, Security: true, Scoped: true, Parse: parse}

// Settings is the rule of a rateLimit middleware.
type Settings struct {
	// RequestsPerUnit is how many requests a client gets back per unit. Required,
	// at least 1, at most a billion.
	RequestsPerUnit int `json:"requestsPerUnit"`
	// Unit is second, which is the default, minute or hour.
	Unit string `json:"unit"`
	// Burst is how many requests more than RequestsPerUnit a client that has been
	// quiet may send at once; 0 by default.
	Burst int `json:"burst"`
	// BanAfter is how many refusals in a row ban the client; 0, the default, is never.
	BanAfter int `json:"banAfter"`
	// BanDuration is how long a ban lasts; 10m by default.
	BanDuration config.Duration `json:"banDuration"`
	// KeyStrategy says what a client is; its address by default.
	KeyStrategy KeyStrategy `json:"keyStrategy"`
}

// KeyStrategy tells clients apart.
type KeyStrategy struct {
	// Source is ip, header or cookie. A request without the header or cookie is
	// told apart by its address.
	Source string `json:"source"`
	// Name is that of the header or cookie.
	Name string `json:"name"`
}

const defaultBan = 10 * time.Minute

// most requests are no limit any more, and leave times that can be counted.
const most = 1_000_000_000

var units = map[string]time.Duration{"": time.Second, "second": time.Second, "minute": time.Minute, "hour": time.Hour}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	invalid := func(wrong bool, field, format string, args ...any) {
		if wrong {
			problems = append(problems, definition.Invalid(field, format, args...))
		}
	}
	invalid(s.RequestsPerUnit < 1 || s.RequestsPerUnit > most, "requestsPerUnit", "must be 1 to %d", most)
	invalid(s.Burst < 0 || s.Burst > most, "burst", "must be 0 to %d", most)
	invalid(s.BanAfter < 0, "banAfter", "is negative; 0 means never")
	invalid(s.BanDuration < 0, "banDuration", "is negative")
	_, known := units[strings.ToLower(s.Unit)]
	invalid(!known, "unit", "unknown value %q; use second, minute or hour", s.Unit)
	s.KeyStrategy.Source = strings.ToLower(s.KeyStrategy.Source)
	switch s.KeyStrategy.Source {
	case "", "ip":
		s.KeyStrategy = KeyStrategy{Source: "ip"}
	case "header", "cookie":
		invalid(s.KeyStrategy.Name == "", "keyStrategy.name", "name the %s", s.KeyStrategy.Source)
	default:
		invalid(true, "keyStrategy.source", "unknown value %q; use ip, header or cookie", s.KeyStrategy.Source)
	}
	if s.BanDuration == 0 {
		s.BanDuration = config.Duration(defaultBan)
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return &rule{settings: s, identity: sha256.Sum256(raw)}, problems
}

type rule struct {
	settings Settings
	identity [sha256.Size]byte
}

// stateKey names the buckets of one middleware on one route. M22
type stateKey struct {
	route, middleware string
	rule              [sha256.Size]byte
}

// Handler implements definition.Rule.
func (l *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	buckets, release, err := pool.Get(b.Pool, stateKey{b.Route.Name, b.Name, l.identity}, func() (*buckets, error) {
		return newBuckets(l.settings, time.Now), nil
	})
	if err != nil {
		return nil, err
	}
	b.Track(release)
	return &handler{covered: covered, buckets: buckets, key: l.settings.KeyStrategy, next: next}, nil
}

type handler struct {
	covered *scope.Scope
	buckets *buckets
	key     KeyStrategy
	next    http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.covered.Covers(r) || exempt(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	verdict := h.buckets.take(h.identify(r))
	if verdict.admitted {
		h.next.ServeHTTP(w, r)
		return
	}
	header := w.Header()
	header.Set("Retry-After", seconds(verdict.wait))
	x := exchange.Of(r)
	if verdict.banned {
		x.Reason = "rate_limit_ban"
		reply.Error(w, r, http.StatusForbidden, "403 Forbidden: Client temporarily banned due to repeated abuse")
		return
	}
	x.Reason = "rate_limit"
	header.Set("RateLimit-Limit", strconv.Itoa(int(h.buckets.capacity)))
	header.Set("RateLimit-Remaining", "0")
	header.Set("RateLimit-Reset", seconds(verdict.wait))
	reply.Error(w, r, http.StatusTooManyRequests, "429 Too many requests. Try again later.")
}

// seconds rounds up: a client that comes back after them is served.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}

// exempt tells requests that are not counted: those of browsers and certificate
// authorities that the client did not decide to send. M23
func exempt(r *http.Request) bool {
	preflight := r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
	return preflight || definition.IsChallenge(r)
}

// identify gives the client's key. Long values are hashed; what is missing falls
// back to the address, by /64 for IPv6, where that is one customer. M21
func (h *handler) identify(r *http.Request) clientKey {
	var value string
	switch h.key.Source {
	case "header":
		value = r.Header.Get(h.key.Name)
	case "cookie":
		if c, err := r.Cookie(h.key.Name); err == nil {
			value = c.Value
		}
	}
	if value != "" {
		return clientKey{digest: sha256.Sum256([]byte(value))}
	}
	return clientKey{address: network(exchange.Of(r).ClientIP)}
}

func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
