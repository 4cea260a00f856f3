// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"net/http"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// question is a request as the cache sees it.
type question struct {
	key      key
	header   http.Header
	head     bool
	personal bool
	asked    directives
	// why is the reason to ask the backend, as Cache-Status tells it.
	why string
}

// questionOf gives the question of a GET or a HEAD.
func (h *handler) questionOf(r *http.Request, x *exchange.Exchange) question {
	return question{
		key: h.keyOf(r, x), header: r.Header, head: r.Method == http.MethodHead,
		personal: personal(r, x), asked: askedOf(r.Header), why: "; fwd=uri-miss",
	}
}

// bypassing says whether a request has nothing to do with the cache: for a part of an
// answer, for another protocol, with a body, on a condition that only the backend
// can judge, or not to be stored.
func bypassing(r *http.Request) bool {
	h := r.Header
	return len(h["Range"]) > 0 || len(h["If-Range"]) > 0 || len(h["Upgrade"]) > 0 || len(h["If-Match"]) > 0 || len(h["If-Unmodified-Since"]) > 0 ||
		r.ContentLength != 0 || parseDirectives(h["Cache-Control"]).has(noStore)
}

// use is what may be done with an entry.
type use int

const (
	// ask means that the backend has to be asked.
	ask use = iota
	// fresh may be served.
	fresh
	// old may be served, though it is stale.
	old
	// oldWhile may be served while the backend is asked.
	oldWhile
)

// mayUse says what may be done with an entry (RFC 9111, 4 and 5.2.1).
func (q *question) mayUse(e *entry, now time.Time, c *rule) use {
	if q.personal && !e.shared || e.validated || q.asked.has(noCache) {
		return ask
	}
	left := e.freshFor(now)
	if q.asked.maxAge != unset && e.currentAge(now) > seconds(q.asked.maxAge) {
		return ask
	}
	if q.asked.minFresh > 0 && left < seconds(q.asked.minFresh) {
		return ask
	}
	switch {
	case left > 0:
		return fresh
	case e.strict:
		return ask
	case q.asked.maxStale > 0 && e.patient && -left <= min(seconds(q.asked.maxStale), c.maxStale): // M26
		return old
	case -left < e.whileRevalidate:
		return oldWhile
	}
	return ask
}

// mayRevalidate says whether the backend can be asked for news of an entry.
func (q *question) mayRevalidate(e *entry) bool {
	return (e.etag != "" || e.lastModified != "") && (e.shared || !q.personal)
}

// mayOnError says whether an entry may be served since the backend has failed (RFC
// 5861, 4).
func (q *question) mayOnError(e *entry, now time.Time) bool {
	if e.strict || q.personal && !e.shared {
		return false
	}
	allowed := max(e.ifError, seconds(max(0, q.asked.staleIfErrored)))
	return allowed > 0 && -e.freshFor(now) <= allowed
}
