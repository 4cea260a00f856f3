// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// probeKey is what makes two probes one: whom they ask, what, and how.
type probeKey struct {
	url               string
	transport         transportKey
	interval, timeout time.Duration
	// statuses is the list of healthy ones as text, since a list is no key.
	statuses string
}

const (
	defaultInterval = 30 * time.Second
	defaultTimeout  = 10 * time.Second
	maxProbeBody    = 64 << 10
)

func newProbeKey(e *Endpoint, h *config.HealthCheck, t transportKey) probeKey {
	key := probeKey{
		url: e.scheme + "://" + e.host + e.path + h.Path, transport: t,
		interval: h.Interval.Std(), timeout: h.Timeout.Std(), statuses: fmt.Sprint(h.HealthyStatuses),
	}
	if key.interval <= 0 {
		key.interval = defaultInterval
	}
	if key.timeout <= 0 {
		key.timeout = min(defaultTimeout, key.interval)
	}
	return key
}

// probe asks one endpoint for its health, from its start to its Close. L3
type probe struct {
	key       probeKey
	statuses  []int // none means all below 400
	transport *transport
	log       *slog.Logger
	agent     string

	failure atomic.Pointer[string] // nil is healthy
	// back is when the endpoint was found healthy again, after epoch.
	back atomic.Int64
	stop context.CancelFunc
	done chan struct{}
}

// state gives the last result, with the reason when it is a bad one. Before the
// first result, and without a probe, an endpoint is healthy.
func (p *probe) state() (healthy bool, reason string) {
	if p == nil {
		return true, ""
	}
	if failure := p.failure.Load(); failure != nil {
		return false, *failure
	}
	return true, ""
}

// recovered is when the endpoint was last found healthy again, if it ever was.
func (p *probe) recovered() (back time.Duration, ever bool) {
	if p == nil {
		return 0, false
	}
	back = time.Duration(p.back.Load())
	return back, back != 0
}

func (g *Registry) startProbe(key probeKey, t *transport, statuses []int) *probe {
	ctx, stop := context.WithCancel(context.Background())
	p := &probe{
		key: key, statuses: slices.Clone(statuses), transport: t, log: g.settings.Logger,
		agent: "goma-gateway/" + g.settings.Version, stop: stop, done: make(chan struct{}),
	}
	go p.run(ctx)
	return p
}

// Close ends the probe and waits for it.
func (p *probe) Close() error {
	p.stop()
	<-p.done
	return nil
}

// run asks at once and then at every interval, each time a moment earlier or
// later than the others, so that not all probes ask together.
func (p *probe) run(ctx context.Context) {
	defer close(p.done)
	const mostDelay = 100 * time.Millisecond
	timer := time.NewTimer(rand.N(min(mostDelay, p.key.interval))) //nolint:gosec // no secret
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		p.note(ctx, p.safely(ctx))
		timer.Reset(p.key.interval - rand.N(p.key.interval/10+1)) //nolint:gosec // no secret
	}
}

// safely keeps a panic from ending the process. E5
func (p *probe) safely(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in a health check: %v", v)
		}
	}()
	return p.ask(ctx)
}

func (p *probe) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.key.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.key.url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", p.agent)
	resp, err := p.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	// The connection is used again only if nothing is left on it.
	_, _ = io.CopyN(io.Discard, resp.Body, maxProbeBody)
	_ = resp.Body.Close()
	if !p.accepts(resp.StatusCode) {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

func (p *probe) accepts(status int) bool {
	if len(p.statuses) == 0 {
		return status < http.StatusBadRequest
	}
	return slices.Contains(p.statuses, status)
}

// note keeps a result and tells of a change.
func (p *probe) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // stopped: that says nothing of the endpoint
	}
	was, _ := p.state()
	if err == nil {
		if !was {
			p.back.Store(int64(time.Since(epoch)))
		}
		p.failure.Store(nil)
		if !was {
			p.log.Info("endpoint is healthy again", "endpoint", p.key.url)
		}
		return
	}
	reason := err.Error()
	p.failure.Store(&reason)
	if was {
		p.log.Warn("endpoint is not healthy", "endpoint", p.key.url, "err", reason)
	}
}
