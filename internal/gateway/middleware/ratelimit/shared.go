// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/client"
	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

// takeScript is buckets.take in the store, in one step and by its clock, so that
// replicas whose clocks differ share one budget. The key is a hash of the tokens
// (t) at a time (a), the refusals in a row (r) and the end of a ban (b). It always
// leaves when it has rested long enough to be as good as new. Times are in
// microseconds. M22
//
// Arguments: capacity, tokens per microsecond, refusals before a ban or 0, length
// of a ban, life of a resting bucket in milliseconds. Answer: whether the request
// is admitted, whether the client is banned, how long until it is served again.
var takeScript = store.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local capacity, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local banAfter, ban = tonumber(ARGV[3]), tonumber(ARGV[4])
local state = redis.call('HMGET', KEYS[1], 't', 'a', 'r', 'b')
local tokens, at = tonumber(state[1]) or capacity, tonumber(state[2]) or now
local refused, banned = tonumber(state[3]) or 0, tonumber(state[4]) or 0
if banned > now then
  return {0, 1, banned - now}
end
if now > at then
  tokens = math.min(capacity, tokens + (now - at) * rate)
end
if tokens >= capacity then
  refused = 0
end
local admitted, isBanned, wait = 0, 0, 0
banned = 0
if tokens >= 1 then
  tokens, admitted = tokens - 1, 1
else
  wait = math.ceil((1 - tokens) / rate)
  refused = refused + 1
  if banAfter > 0 and refused >= banAfter then
    refused, banned, isBanned, wait = 0, now + ban, 1, ban
  end
end
redis.call('HSET', KEYS[1], 't', string.format('%.17g', tokens), 'a', string.format('%.0f', now),
  'r', refused, 'b', string.format('%.0f', banned))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {admitted, isBanned, wait}
`)

// longestRest bounds how long the store remembers a client that does not come back.
const longestRest = 30 * 24 * time.Hour

// shared is a limit whose buckets live in the shared store.
type shared struct {
	store  store.Store
	prefix string
	args   []any
	// fallback counts while the store does not answer, if that is wanted.
	fallback  *buckets
	onFailure string
}

func newShared(s Settings, scope stateKey, in store.Store, fallback *buckets) *shared {
	ban := s.BanDuration.Std()
	rest := fallback.full
	if s.BanAfter > 0 {
		rest = max(rest, ban)
	}
	return &shared{
		store: in, prefix: scope.prefix(), fallback: fallback, onFailure: s.OnStoreFailure,
		args: []any{
			s.RequestsPerUnit + s.Burst, fallback.perNano * float64(time.Microsecond),
			s.BanAfter, ban.Microseconds(), (min(rest, longestRest) + time.Second).Milliseconds(),
		},
	}
}

// prefix starts the keys of one middleware on one route, with one rule. The names
// are hashed together, so that no two scopes can be joined to the same text. M22
func (k stateKey) prefix() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %x", k.route, k.middleware, k.rule))
	const half = sha256.Size / 2
	return "rate:" + hex.EncodeToString(sum[:half]) + ":"
}

// take implements limiter. What the store cannot tell is no refusal, and counts
// nothing against the client. M23
func (s *shared) take(r *http.Request, key client.Key) verdict {
	answer, err := s.store.Eval(r.Context(), takeScript, []string{s.prefix + key.String()}, s.args...)
	if err == nil && len(answer) == 3 {
		return verdict{admitted: answer[0] == 1, banned: answer[1] == 1, wait: time.Duration(answer[2]) * time.Microsecond}
	}
	switch s.onFailure {
	case failAllow:
		return verdict{admitted: true}
	case failDeny:
		return verdict{unknown: true, wait: time.Second}
	}
	return s.fallback.take(r, key)
}
