// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"context"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// fetch is one request to the backend, for one client or for many.
type fetch struct {
	h *handler
	q *question
	// flight is what others wait for; nil if nobody does.
	flight *flight
	key    flightKey
	// old is the entry that the backend is asked about; nil without one.
	old *entry

	sent time.Time
	// overtaken says that what is asked for has changed since.
	overtaken atomic.Bool
	// instead is the entry that takes the place of the backend's answer.
	instead *entry
	result  result
	fwd     string
}

// run asks the backend, and answers the client, if there is one.
func (f *fetch) run(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) {
	interest := &exchange.Interest{Exchange: x, Parent: r.Context()}
	if f.flight != nil && w != nil {
		// The request goes on for those who wait for it, when its own client has gone.
		stop := context.AfterFunc(r.Context(), func() {
			if f.h.flights.abandon(f.key, f.flight) {
				interest.Lose(context.Cause(r.Context()))
			}
		})
		defer stop()
	} else if w != nil {
		stop := context.AfterFunc(r.Context(), func() { interest.Lose(context.Cause(r.Context())) })
		defer stop()
	}
	f.over(w, r.WithContext(interest))
}

// over makes the request with a context that is settled.
func (f *fetch) over(w http.ResponseWriter, r *http.Request) {
	f.sent = time.Now()
	f.h.flights.begin(f)
	defer f.h.flights.end(f)
	rec := &recorder{fetch: f, client: w}
	finished := false
	defer func() {
		if !finished {
			f.broken(rec)
		}
		if rec.body != nil {
			rec.body.discard()
		}
	}()
	f.h.next.ServeHTTP(rec, f.outgoing(r))
	finished = true
	f.finish(rec)
}

// broken is for an answer that has no end.
func (f *fetch) broken(rec *recorder) {
	f.land(landing{again: true})
	if rec.body != nil {
		rec.body.stop(true)
	}
}

// outgoing is the request as the backend gets it: for the whole answer, or for the
// news since the old one. What the client has is compared here.
func (f *fetch) outgoing(r *http.Request) *http.Request {
	out := *r
	out.Header = make(http.Header, len(r.Header)+2)
	maps.Copy(out.Header, r.Header)
	for _, name := range conditions {
		delete(out.Header, name)
	}
	if f.old != nil {
		if f.old.etag != "" {
			out.Header["If-None-Match"] = []string{f.old.etag}
		}
		if f.old.lastModified != "" {
			out.Header["If-Modified-Since"] = []string{f.old.lastModified}
		}
	}
	return &out
}

// conditions are request headers by which an answer may be none.
var conditions = []string{"If-None-Match", "If-Modified-Since"}

// decide says what becomes of an answer, at its head.
func (f *fetch) decide(status int, header http.Header, length int64) (mode, *entry) {
	a := &answered{status: status, header: header, asked: f.q.header, personal: f.q.personal, sent: f.sent, received: time.Now()}
	if f.old != nil {
		if status == http.StatusNotModified {
			f.confirmed(a)
			return swallowing, nil
		}
		if status >= http.StatusInternalServerError && f.q.mayOnError(f.old, a.received) {
			f.instead, f.result, f.fwd = f.old, stale, "; fwd=stale; fwd-status="+itoa(status)
			f.land(landing{entry: f.old, failed: true})
			return swallowing, nil
		}
	}
	e := f.h.entry(a)
	if e == nil || length > f.h.maxBody {
		f.free()
		f.useless(status)
		return passing, nil
	}
	return recording, e
}

// useless is for an answer that is not kept. It says as much of those to come, and
// that an older one is over, unless it is an error.
func (f *fetch) useless(status int) {
	if status >= http.StatusInternalServerError {
		return
	}
	if f.old != nil && !f.q.personal {
		f.h.cache.forget(f.q)
	}
	f.h.cache.pass(f.q)
}

// confirmed is for an old entry that is still good.
func (f *fetch) confirmed(a *answered) {
	e := f.h.refreshed(f.old, a)
	f.instead, f.result, f.fwd = e, revalidated, "; fwd=stale; fwd-status=304"
	if e == nil {
		f.h.cache.forget(f.q)
		f.instead = f.old // it is good for this client, once
		f.land(landing{})
		return
	}
	f.store(e)
	f.land(landing{entry: e})
}

// free lets those who wait go: the answer is not for them.
func (f *fetch) free() { f.land(landing{}) }

func (f *fetch) land(l landing) {
	if f.flight != nil {
		f.h.flights.land(f.key, f.flight, l)
	}
}

// store keeps an entry, unless something has changed since it was asked for.
func (f *fetch) store(e *entry) {
	if f.overtaken.Load() {
		return
	}
	f.h.cache.put(f.q, e)
	if f.overtaken.Load() { // just now
		f.h.cache.forget(f.q)
	}
}

// begin sends the head of an answer that is recorded; it gives who takes the body.
func (f *fetch) begin(rec *recorder) http.ResponseWriter {
	w, e := rec.client, rec.entry
	if w == nil {
		return nil
	}
	f.h.counts.results[miss].Add()
	h := w.Header()
	if e.notModified(f.q.header) {
		for _, field := range e.fields {
			if !ofBody(field.name) {
				setField(h, field)
			}
		}
		f.h.tell(h, miss, f.forwarded()+"; stored")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	copyFields(h, rec.header)
	if e.control != nil {
		h["Cache-Control"] = e.control
	}
	f.h.tell(h, miss, f.forwarded()+"; stored")
	w.WriteHeader(e.status)
	return w
}

// forwarded is why the request went to the backend, as Cache-Status tells it.
func (f *fetch) forwarded() string {
	if f.old != nil {
		return "; fwd=stale"
	}
	return f.q.why
}

// finish is for an answer that has come to its end.
func (f *fetch) finish(rec *recorder) {
	rec.head()
	switch rec.mode {
	case recording:
		if rec.whole() {
			rec.entry.complete(rec.body.bytes())
			f.store(rec.entry)
			f.land(landing{entry: rec.entry})
		} else {
			f.free()
		}
		_ = rec.body.drain() // the client may be gone
		rec.trailers()
	case passing:
		rec.trailers()
	case swallowing:
		if rec.client != nil {
			f.h.serve(rec.client, f.q, f.instead, f.result, f.fwd)
		}
	default:
	}
}
