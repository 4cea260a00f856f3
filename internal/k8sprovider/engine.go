// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/wire"
)

const (
	// secretPatience is how long a Route waits for news of a Secret that it has
	// begun to name. The right to read it may still be on its way, and until then
	// the Route as it was is better than one that answers 503.
	secretPatience = 5 * time.Second
	// commitRetry is the pause after a commit that failed.
	commitRetry = time.Second
	// certGrace is how long files of a Secret outlive the last Route that named
	// it, when the gateway does not say that it has moved on.
	certGrace = time.Minute
)

// engine owns the state of the sidecar. All its methods but send, ready and
// alive run in the goroutine of run.
type engine struct {
	log      *slog.Logger
	gateway  types.NamespacedName
	debounce time.Duration
	state    *translate.State
	writer   *wire.Writer
	certs    *certStore
	secrets  *secretWatches
	metrics  *metrics
	// changed is told the problems when they may have changed.
	changed func([]config.Problem)

	events chan func()
	// unlisted are the kinds of which not everything is known yet.
	unlisted map[string]bool
	// listed says that all is known; begun, that this process has committed.
	listed, begun bool
	pending       pending
	// revision is that of the state whose problems were told; news says that
	// those of Secrets may have changed since.
	revision uint64
	news     bool
	// window is when the next commit may be made; retry when one that failed is
	// tried again.
	window, retry time.Time
	// unneeded are Secrets whose files go when the gateway has moved on.
	unneeded map[string]farewell
	applied  uint64
	ready    atomic.Bool
}

// farewell is when the files of a Secret may go: when the gateway has applied
// the generation that does without them, once there is one, or at the time.
type farewell struct {
	generation uint64
	at         time.Time
}

// send hands an event to the engine; it gives up when the context ends.
func (e *engine) send(ctx context.Context, event func()) {
	select {
	case e.events <- event:
	case <-ctx.Done():
	}
}

// alive tells whether the engine takes events.
func (e *engine) alive(ctx context.Context) bool {
	done := make(chan struct{})
	e.send(ctx, func() { close(done) })
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// run works until the context ends.
func (e *engine) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		e.step(now)
		timer.Reset(e.wake(now))
		select {
		case <-ctx.Done():
			return
		case event := <-e.events:
			event()
			e.drain()
		case <-timer.C:
		}
	}
}

// drain takes the events that have come in the meantime, and not those that
// come while it does so: the commit must not wait for a pause.
func (e *engine) drain() {
	for range len(e.events) {
		(<-e.events)()
	}
}

// step does what there is to do now.
func (e *engine) step(now time.Time) {
	if len(e.unlisted) > 0 {
		return
	}
	d := e.state.Take()
	e.pending.take(d)
	if d.Secrets || !e.listed {
		e.listed = true
		e.updateSecrets(now)
	}
	if now.Before(e.window) || now.Before(e.retry) {
		return
	}
	e.commit(now)
	e.sweep(now)
	e.tell()
}

// wake is how long to sleep at most.
func (e *engine) wake(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if t.After(now) && t.Before(next) {
			next = t
		}
	}
	sooner(e.window)
	sooner(e.retry)
	for _, s := range e.secrets.byName {
		if !s.answered {
			sooner(s.since.Add(secretPatience))
		}
	}
	for _, f := range e.unneeded {
		sooner(f.at)
	}
	return next.Sub(now)
}

// take takes news of one kind, and notes that it has been listed.
func (e *engine) take(kind string, c change, set func(metav1.Object), remove func(string), known func() []string) {
	if c.whole {
		delete(e.unlisted, kind)
		present := map[string]bool{}
		for _, o := range c.set {
			present[o.GetName()] = true
		}
		for _, name := range known() {
			if !present[name] {
				remove(name)
			}
		}
	}
	for _, o := range c.set {
		set(o)
	}
	for _, name := range c.gone {
		remove(name)
	}
}

func (e *engine) takeRoutes(c change) {
	e.take("routes", c, func(o metav1.Object) {
		if r, ok := o.(*v1alpha1.Route); ok {
			e.state.SetRoute(r)
		}
	}, e.state.DeleteRoute, e.state.Routes)
}

func (e *engine) takeMiddlewares(c change) {
	e.take("middlewares", c, func(o metav1.Object) {
		if m, ok := o.(*v1alpha1.Middleware); ok {
			e.state.SetMiddleware(m)
		}
	}, e.state.DeleteMiddleware, e.state.Middlewares)
}

func (e *engine) takeGateway(c change) {
	own := func() []string { return []string{e.gateway.Name} }
	e.take("gateways", c, func(o metav1.Object) {
		if g, ok := o.(*v1alpha1.Gateway); ok && g.Name == e.gateway.Name {
			e.state.SetMonitoring(translate.MonitoringMiddlewares(g))
		}
	}, func(string) { e.state.SetMonitoring(nil) }, own)
}

// takeSecret takes what the API server says about a Secret. News of a watch
// that has been stopped is no news.
func (e *engine) takeSecret(s *secret, c change) {
	if e.secrets.byName[s.name()] == s {
		s.learn(c)
		e.settle(s)
	}
}

// denySecret takes that the API server does not say anything about a Secret.
func (e *engine) denySecret(s *secret, err error) {
	if e.secrets.byName[s.name()] == s && !s.answered {
		s.denied = err
		e.settle(s)
	}
}

// settle brings the files of a Secret to what is known.
func (e *engine) settle(s *secret) {
	e.news = true
	changed, err := s.settle(e.certs)
	if err != nil {
		// It is tried again with the next news of the Secret; the gateway says
		// meanwhile which Route has no certificate.
		e.metrics.commitErrors.Inc()
		e.log.Error("certificate files not written", "secret", s.name(), "err", err)
		return
	}
	if changed {
		e.log.Info("certificate files changed", "secret", s.name())
	}
}

// takeApplied takes that the gateway serves a generation.
func (e *engine) takeApplied(generation uint64) { e.applied = generation }

// updateSecrets watches what the Routes name now. Files of the others stay until
// the gateway no longer uses them.
func (e *engine) updateSecrets(now time.Time) {
	for _, s := range e.secrets.need(e.state.Secrets(), now) {
		e.settle(s)
	}
	for _, name := range e.certs.names() {
		_, needed := e.secrets.byName[name]
		_, known := e.unneeded[name]
		switch {
		case needed:
			delete(e.unneeded, name)
		case !known:
			e.unneeded[name] = farewell{at: now.Add(certGrace)}
		}
	}
	e.news = true
	e.metrics.secrets.Set(float64(len(e.secrets.byName)))
}

// sweep removes the files of Secrets that nobody uses any more. While a change
// is pending, what is on disk may still be using them.
func (e *engine) sweep(now time.Time) {
	if len(e.pending) > 0 || !e.begun {
		return
	}
	for name, f := range e.unneeded {
		if f.generation == 0 {
			f.generation = e.writer.Generation()
			e.unneeded[name] = f
		}
		if e.applied < f.generation && now.Before(f.at) {
			continue
		}
		delete(e.unneeded, name)
		if _, err := e.certs.remove(name); err != nil {
			e.log.Error("certificate files not removed", "secret", name, "err", err)
		}
	}
}

// tell hands on the problems when they may have changed.
func (e *engine) tell() {
	if !e.news && e.revision == e.state.Revision() {
		return
	}
	e.news, e.revision = false, e.state.Revision()
	problems := append(e.state.Problems(), e.secrets.problems()...)
	e.metrics.problems.Set(float64(len(problems)))
	e.changed(problems)
}
