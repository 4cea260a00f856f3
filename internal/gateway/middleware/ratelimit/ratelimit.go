// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package ratelimit bounds how many requests a client may send, by a token bucket
// per client: a client may use up the capacity at once, and gets it back at a
// steady rate. Clients that go on after many refusals can be banned for a while.
//
// There is one bucket per route, middleware and client. Where the gateway has a
// shared store the buckets live there, so that all replicas hold one budget;
// otherwise, and while the store does not answer, they live in memory. Those in
// memory outlive reloads that do not change the rule, and their number is bounded:
// the least recently seen client is forgotten first. CORS preflights and ACME
// challenges are not counted.
package ratelimit

import (
	"crypto/sha256"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/client"
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
	KeyStrategy client.Strategy `json:"keyStrategy"`
	// OnStoreFailure says what happens while the shared store does not answer:
	// local, the default, counts in this gateway alone; allow counts nothing; deny
	// answers 503. Without a shared store it means nothing.
	OnStoreFailure string `json:"onStoreFailure"`
}

// The ways to go on without the shared store.
const (
	failLocal = "local"
	failAllow = "allow"
	failDeny  = "deny"
)

const defaultBan = 10 * time.Minute

// most requests are no limit any more, and leave times that can be counted.
const most = 1_000_000_000

const defaultUnit = "second"

var units = map[string]time.Duration{defaultUnit: time.Second, "minute": time.Minute, "hour": time.Hour}

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
	problems = append(problems, s.settle()...)
	if s.BanDuration == 0 {
		s.BanDuration = config.Duration(defaultBan)
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	identity, err := json.Marshal(s)
	if err != nil {
		return nil, append(problems, definition.Invalid("", "%v", err))
	}
	return &rule{settings: s, identity: sha256.Sum256(identity)}, problems
}

// settle brings words to one form, and gives what is wrong with them. C6
func (s *Settings) settle() (problems []config.Problem) {
	invalid := func(field, format string, args ...any) {
		problems = append(problems, definition.Invalid(field, format, args...))
	}
	if s.Unit = strings.ToLower(s.Unit); s.Unit == "" {
		s.Unit = defaultUnit
	}
	if _, known := units[s.Unit]; !known {
		invalid("unit", "unknown value %q; use second, minute or hour", s.Unit)
	}
	problems = append(problems, s.KeyStrategy.Settle("keyStrategy")...)
	s.OnStoreFailure = strings.ToLower(s.OnStoreFailure)
	switch s.OnStoreFailure {
	case "":
		s.OnStoreFailure = failLocal
	case failLocal, failAllow, failDeny:
	default:
		invalid("onStoreFailure", "unknown value %q; use local, allow or deny", s.OnStoreFailure)
	}
	return problems
}

type rule struct {
	settings Settings
	identity [sha256.Size]byte
}

// stateKey names the buckets of one middleware on one route. M22
type stateKey struct {
	route, middleware string
	rule              [sha256.Size]byte
	// standIn marks the buckets that count while the shared store is away.
	standIn bool
}

// Handler implements definition.Rule.
func (l *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	key := stateKey{b.Route.Name, b.Name, l.identity, b.Store != nil}
	buckets, release, err := pool.Get(b.Pool, key, func() (*buckets, error) {
		s := l.settings
		if key.standIn {
			// Nobody is banned for what happens while the store is away. M23
			s.BanAfter = 0
		}
		return newBuckets(s, time.Now), nil
	})
	if err != nil {
		return nil, err
	}
	b.Track(release)
	h := &handler{covered: covered, limiter: buckets, capacity: l.settings.RequestsPerUnit + l.settings.Burst, key: l.settings.KeyStrategy, next: next}
	if b.Store != nil {
		h.limiter = newShared(l.settings, key, b.Store, buckets)
	}
	return h, nil
}

// limiter decides on one request of a client.
type limiter interface {
	take(r *http.Request, key client.Key) verdict
}

type handler struct {
	covered  *scope.Scope
	limiter  limiter
	capacity int
	key      client.Strategy
	next     http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.covered.Covers(r) || exempt(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	verdict := h.limiter.take(r, h.key.Identify(r))
	if verdict.admitted {
		h.next.ServeHTTP(w, r)
		return
	}
	h.refuse(w, r, verdict)
}

func (h *handler) refuse(w http.ResponseWriter, r *http.Request, v verdict) {
	header, x := w.Header(), exchange.Of(r)
	header.Set("Retry-After", seconds(v.wait))
	switch {
	case v.unknown:
		x.Reason = "rate_limit_store"
		reply.Error(w, r, http.StatusServiceUnavailable, "503 Service Unavailable: requests cannot be counted")
	case v.banned:
		x.Reason = "rate_limit_ban"
		reply.Error(w, r, http.StatusForbidden, "403 Forbidden: Client temporarily banned due to repeated abuse")
	default:
		x.Reason = "rate_limit"
		header.Set("RateLimit-Limit", strconv.Itoa(h.capacity))
		header.Set("RateLimit-Remaining", "0")
		header.Set("RateLimit-Reset", seconds(v.wait))
		reply.Error(w, r, http.StatusTooManyRequests, "429 Too many requests. Try again later.")
	}
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
