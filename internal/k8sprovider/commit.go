// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"time"

	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// pending is what differs from the disk: the object, or none for one that is gone.
type pending map[wire.Key]wire.Object

func (p pending) take(d translate.Delta) {
	for _, r := range d.Routes {
		p[wire.Key{Kind: wire.KindRoute, Name: r.Name}] = wire.Object{Route: r}
	}
	for _, m := range d.Middlewares {
		p[wire.Key{Kind: wire.KindMiddleware, Name: m.Name}] = wire.Object{Middleware: m}
	}
	for _, name := range d.GoneRoutes {
		p[wire.Key{Kind: wire.KindRoute, Name: name}] = wire.Object{}
	}
	for _, name := range d.GoneMiddlewares {
		p[wire.Key{Kind: wire.KindMiddleware, Name: name}] = wire.Object{}
	}
}

// commit writes what is pending, if anything, and opens the window in which
// what comes next is taken together.
func (e *engine) commit(now time.Time) {
	c, done := e.nextChange(now)
	if !c.Whole && len(done) == 0 {
		return
	}
	if c.Whole && e.waitsForAny(now) {
		return
	}
	before := e.writer.Generation()
	generation, err := e.writer.Commit(c)
	if err != nil {
		e.metrics.commitErrors.Inc()
		e.log.Error("bundle not written", "err", err)
		e.retry = now.Add(commitRetry)
		return
	}
	for _, key := range done {
		delete(e.pending, key)
	}
	e.begun = true
	e.ready.Store(true)
	e.window = now.Add(e.debounce)
	if generation == before {
		return
	}
	e.metrics.committed(generation, now)
	e.log.Info("bundle written", "generation", generation, "set", len(c.Set), "deleted", len(c.Delete))
}

// nextChange is what to commit and which pending keys that settles. The first
// commit of the process is everything, because what is on disk may be from
// another time.
func (e *engine) nextChange(now time.Time) (c wire.Change, done []wire.Key) {
	c.Complete = true
	if !e.begun {
		c.Whole = true
		out := e.state.Output()
		for _, r := range out.Bundle.Routes {
			c.Set = append(c.Set, wire.Object{Route: r})
		}
		for _, m := range out.Bundle.Middlewares {
			c.Set = append(c.Set, wire.Object{Middleware: m})
		}
		for key := range e.pending {
			done = append(done, key)
		}
		return c, done
	}
	held := e.held(now)
	for key, o := range e.pending {
		switch {
		case held[key]:
			continue
		case o != wire.Object{}:
			c.Set = append(c.Set, o)
		case key.Kind == wire.KindMiddleware && len(held) > 0:
			// A Route that is held may name it on disk, and would answer 503.
			continue
		default:
			c.Delete = append(c.Delete, key)
		}
		done = append(done, key)
	}
	return c, done
}

// held are the pending Routes and Middlewares that wait for news of a Secret.
func (e *engine) held(now time.Time) map[wire.Key]bool {
	held := map[wire.Key]bool{}
	for key, o := range e.pending {
		var refs []resolve.SecretRef
		switch {
		case o.Route != nil:
			refs = e.state.RouteSecrets(key.Name)
		case o.Middleware != nil:
			refs = e.state.MiddlewareSecrets(key.Name)
		}
		if e.waitsFor(refs, now) {
			held[key] = true
		}
	}
	return held
}

// waitsForAny tells whether any Route waits for news of a Secret.
func (e *engine) waitsForAny(now time.Time) bool {
	for _, s := range e.secrets.byName {
		if !s.answered && now.Before(s.since.Add(secretPatience)) {
			return true
		}
	}
	return false
}

// waitsFor tells whether there is to be news of a Secret that is named.
func (e *engine) waitsFor(refs []resolve.SecretRef, now time.Time) bool {
	for _, ref := range refs {
		s := e.secrets.byName[ref.Secret.Name]
		if s != nil && !s.answered && now.Before(s.since.Add(secretPatience)) {
			return true
		}
	}
	return false
}
