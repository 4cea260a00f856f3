// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package httpcache answers requests from memory, or from what the replicas share, as a
// shared cache of RFC 9111.
//
// What is kept, and for how long, is up to the backend; the rule only takes away
// from that, or speaks where the backend says nothing. An answer to somebody in
// particular is for nobody else, unless the backend says public or s-maxage. The
// middlewares before this one have let the request pass before it is looked at.
//
// Answers are stored while they stream to the client, and only those that came to
// their end. Of many requests for the same answer one goes to the backend; the
// others wait for it, and no longer than until it is known that it is not for them.
package httpcache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type describes httpCache.
var Type = definition.Type{Names: []string{"httpCache"}, Scoped: true, Parse: parse}

// stateKey says whose state it is: all routes of a middleware share its memory.
type stateKey struct {
	middleware string
	rule       [sha256.Size]byte
}

// state outlives a Snapshot.
type state struct {
	memory  *memory
	flights *flights
}

func (s *state) Close() { s.memory.Close() }

// Handler implements definition.Rule.
func (c *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	if len(b.Paths) == 0 {
		return next, nil // nothing is kept
	}
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	s, release, err := pool.Get(b.Pool, stateKey{b.Name, c.identity}, func() (*state, error) {
		m, err := newMemory(c, b.Counters, b.Name)
		return &state{memory: m, flights: newFlights()}, err
	})
	if err != nil {
		return nil, err
	}
	h := &handler{rule: c, state: s, covered: covered, next: next, route: routeID(b.Route), counts: newCounts(b)}
	h.cache = &local{h}
	if b.Store != nil {
		h.cache = newShared(&local{h}, b.Store, stateKey{b.Name, c.identity})
	}
	b.Track(func() {
		h.background.end()
		release()
	})
	return h, nil
}

// routeID stands for a route and its backend: an answer of another one is another.
func routeID(r definition.RouteInfo) string {
	const half = sha256.Size / 2
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", r.Name, r.Path, r.Target))
	return hex.EncodeToString(sum[:half])
}

// answers is where entries are kept.
type answers interface {
	// find gives what is known of the key. An error means that nothing can be known,
	// and what to do: errAway or errDenied.
	find(r *http.Request, q *question) (*resource, error)
	put(q *question, e *entry)
	// pass remembers that answers of the key are not to be waited for.
	pass(q *question)
	forget(q *question)
}

const (
	errAway   = cacheError("the store does not answer, and the rule says to do without")
	errDenied = cacheError("the store does not answer, and the rule says not to do without")
)

// local keeps entries in this process alone.
type local struct{ h *handler }

func (l *local) find(_ *http.Request, q *question) (*resource, error) {
	return l.h.memory.find(q.key), nil
}
func (l *local) put(q *question, e *entry) { l.h.memory.put(q.key, e) }
func (l *local) pass(q *question)          { l.h.memory.pass(q.key, q.personal) }
func (l *local) forget(q *question)        { l.h.memory.drop(q.key) }

type handler struct {
	*rule
	*state

	covered    *scope.Scope
	next       http.Handler
	route      string
	cache      answers
	counts     *counts
	background background
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.covered.Covers(r) || definition.IsChallenge(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if bypassing(r) {
			h.bypass(w, r)
			return
		}
		x := exchange.Of(r)
		q := h.questionOf(r, x)
		h.answer(w, r, x, &q)
	case http.MethodOptions, http.MethodTrace, http.MethodConnect:
		h.next.ServeHTTP(w, r)
	default:
		h.change(w, r)
	}
}

// bypass leaves the request to the backend.
func (h *handler) bypass(w http.ResponseWriter, r *http.Request) {
	h.counts.results[bypass].Add()
	h.tell(w.Header(), bypass, "; fwd=bypass")
	h.next.ServeHTTP(w, r)
}

// tries is how often a request waits for the answer to another one.
const tries = 4

// answer answers from the cache, or asks the backend and keeps what it says.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, q *question) {
	var vary []string
	for try := 0; ; try++ {
		known, err := h.cache.find(r, q)
		if err != nil {
			h.without(w, r, err)
			return
		}
		now := time.Now()
		e := known.choose(q.header)
		if e != nil && h.fromStore(w, r, x, q, e, now) {
			return
		}
		if q.asked.has(onlyIfCached) {
			h.refuse(w, r, x)
			return
		}
		f := &fetch{h: h, q: q}
		f.because(known, e)
		if q.head {
			h.counts.results[miss].Add()
			h.tell(w.Header(), miss, f.forwarded())
			h.next.ServeHTTP(w, r)
			return
		}
		if try >= tries || e == nil && known.passes(q.personal, now) {
			f.run(w, r, x)
			return
		}
		if vary == nil {
			vary = known.vary()
		}
		f.key = flightKey{key: q.key, variant: variantOf(q.header, vary), personal: q.personal}
		var mine bool
		if f.flight, mine = h.flights.join(f.key); mine {
			f.run(w, r, x)
			return
		}
		l, ok := h.flights.wait(r.Context(), f.flight)
		if !ok {
			x.Reason = "client_closed"
			panic(http.ErrAbortHandler)
		}
		if h.fromFlight(w, q, l) {
			return
		}
		if l.entry != nil && !l.entry.matches(q.header) {
			vary = l.entry.vary // now it is known what tells us apart
		} else if !l.again {
			try = tries // it is not for this one: go at once. M26
		}
	}
}

// because sets why the backend is asked, and what about.
func (f *fetch) because(known *resource, e *entry) {
	switch {
	case e != nil && f.q.mayRevalidate(e):
		f.old = e
	case e != nil && f.q.asked.has(noCache):
		f.q.why = "; fwd=request"
	case e != nil && f.q.mayOnError(e, time.Now()):
		f.old = e
	case e != nil:
		f.q.why = "; fwd=stale"
	case len(known.variants) > 0:
		f.q.why = "; fwd=vary-miss"
	}
}

// fromStore serves an entry, if it may be used.
func (h *handler) fromStore(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, q *question, e *entry, now time.Time) bool {
	switch q.mayUse(e, now, h.rule) {
	case fresh:
		h.serve(w, q, e, hit, "")
	case old:
		h.serve(w, q, e, stale, "")
	case oldWhile:
		h.refresh(r, x, q, e)
		h.serve(w, q, e, stale, "")
	default:
		return false
	}
	return true
}

// fromFlight serves what another request has brought, if it is for this one too.
func (h *handler) fromFlight(w http.ResponseWriter, q *question, l landing) bool {
	e := l.entry
	if e == nil || !e.matches(q.header) || q.personal && !e.shared {
		return false
	}
	now := time.Now()
	switch {
	case l.failed && q.mayOnError(e, now):
		h.serve(w, q, e, stale, "; fwd=stale; collapsed")
	case !e.validated && e.freshFor(now) > 0: // it has been asked for since this request came, or little before
		h.serve(w, q, e, collapsed, "; fwd=uri-miss; collapsed")
	default:
		return false
	}
	return true
}

// without is for a request whose key cannot be looked up.
func (h *handler) without(w http.ResponseWriter, r *http.Request, err error) {
	if err == errDenied { //nolint:errorlint // a value of ours that nobody wraps
		exchange.Of(r).Reason = "cache_store"
		w.Header().Set("Retry-After", "1")
		reply.Error(w, r, http.StatusServiceUnavailable, "503 Service Unavailable: the cache does not answer")
		return
	}
	h.bypass(w, r)
}

// refuse is for a client that wants no answer but one of the cache (RFC 9111, 5.2.1.7).
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) {
	h.counts.results[refused].Add()
	x.Reason = "only_if_cached"
	h.tell(w.Header(), refused, "; fwd=miss")
	reply.Error(w, r, http.StatusGatewayTimeout, "504 Gateway Timeout: no stored answer")
}

// ofBody says whether a field describes a body, which a 304 has not.
func ofBody(name string) bool {
	switch name {
	case "Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Content-Language", "Accept-Ranges":
		return true
	}
	return false
}

func setField(h http.Header, f field) {
	if before := h["Vary"]; f.name == "Vary" && len(before) > 0 {
		h["Vary"] = append(before[:len(before):len(before)], f.values...)
		return
	}
	h[f.name] = f.values
}

// serve answers from an entry. With a status it is told in place of a hit's.
func (h *handler) serve(w http.ResponseWriter, q *question, e *entry, as result, status string) {
	h.counts.results[as].Add()
	header := w.Header()
	unchanged := e.notModified(q.header)
	for i := range e.fields {
		if !unchanged || !ofBody(e.fields[i].name) {
			setField(header, e.fields[i])
		}
	}
	if e.control != nil {
		header["Cache-Control"] = e.control
	}
	s := e.stampOf(time.Now())
	header["Age"] = s.age
	h.tellStored(header, e, as, s, status)
	if unchanged {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(e.status)
	if !q.head && len(e.body) > 0 {
		_, _ = w.Write(e.body) // the client may be gone
	}
}

const (
	statusHeader = "X-Cache-Status"
	cacheStatus  = "Cache-Status"
	gomaCache    = "X-Goma-Cache"
	gomaMaxAge   = "X-Goma-Cache-Max-Age"
)

// tellStored tells that an answer is from the store.
func (h *handler) tellStored(header http.Header, e *entry, as result, s *stamp, status string) {
	header[gomaCache] = headers[as]
	header[gomaMaxAge] = e.maxAge
	if h.silent {
		return
	}
	header[statusHeader] = headers[as]
	told := s.status
	if status != "" {
		told = []string{statusName + status}
	}
	if before := header[cacheStatus]; len(before) > 0 {
		told = append(before[:len(before):len(before)], told...)
	}
	header[cacheStatus] = told
}

// tell tells that an answer is from the backend.
func (h *handler) tell(header http.Header, as result, status string) {
	if h.silent {
		return
	}
	header[statusHeader] = headers[as]
	header[cacheStatus] = append(header[cacheStatus], statusName+status)
}

func itoa(n int) string { return strconv.Itoa(n) }

// background are requests to the backend that no client waits for.
type background struct {
	mu    sync.Mutex
	ended bool
	under map[*exchange.Interest]struct{}
	wg    sync.WaitGroup
}

// mostInBackground are under way at once for a route.
const mostInBackground = 64

func (b *background) begin(i *exchange.Interest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || len(b.under) >= mostInBackground {
		return false
	}
	if b.under == nil {
		b.under = map[*exchange.Interest]struct{}{}
	}
	b.under[i] = struct{}{}
	b.wg.Add(1)
	return true
}

func (b *background) done(i *exchange.Interest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.under, i)
	b.wg.Done()
}

// end breaks all of them off and waits for their ends.
func (b *background) end() {
	b.mu.Lock()
	b.ended = true
	for i := range b.under {
		i.Lose(errEnded)
	}
	b.mu.Unlock()
	b.wg.Wait()
}

const errEnded = cacheError("the route has changed")

// refresh asks the backend for news of an entry that is served meanwhile. One asks,
// however many are served.
func (h *handler) refresh(r *http.Request, x *exchange.Exchange, q *question, e *entry) {
	key := flightKey{key: q.key, variant: variantOf(q.header, e.vary), personal: q.personal}
	flight, mine := h.flights.join(key)
	if !mine {
		h.flights.leave(flight)
		return
	}
	own := *x
	own.Meter, own.LogFields, own.Upstream, own.Reason = nil, nil, "", ""
	interest := &exchange.Interest{Exchange: &own}
	mineToo := *q
	mineToo.header = r.Header.Clone()
	mineToo.key = q.key.own()
	f := &fetch{h: h, q: &mineToo, flight: flight, key: key, old: e}
	if !h.background.begin(interest) {
		f.land(landing{again: true})
		return
	}
	out := r.WithContext(interest)
	out.Header, out.Body, out.URL = mineToo.header, http.NoBody, clone(r.URL)
	go func() {
		defer h.background.done(interest)
		defer func() { _ = recover() }() // E5: the entry stays as it is, and those who wait were let go
		f.over(nil, out)
	}()
}
