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
	"strings"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// probeKey is what makes two probes one: whom they ask, what, and how.
type probeKey struct {
	url               string
	host              string
	interval, timeout time.Duration
	statuses          string
	tls               tlsKey
	protocol          string
}

const (
	defaultInterval = 30 * time.Second
	defaultTimeout  = 10 * time.Second
	maxProbeBody    = 64 << 10
)

func newProbeKey(e *Endpoint, h *config.HealthCheck, tls tlsKey) probeKey {
	key := probeKey{
		url: e.scheme + "://" + e.host + e.path + h.Path, host: e.host, tls: tls, protocol: e.name,
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
	transport *transport
	log       *slog.Logger
	agent     string

	result atomic.Pointer[string] // nil is healthy
	stop   context.CancelFunc
	done   chan struct{}
}

// state gives the last result. A nil probe is healthy.
func (p *probe) state() (healthy bool, reason string) {
	if p == nil {
		return true, ""
	}
	if failure := p.result.Load(); failure != nil {
		return false, *failure
	}
	return true, ""
}

func (g *Registry) startProbe(key probeKey, t *transport) *probe {
	ctx, stop := context.WithCancel(context.Background())
	p := &probe{
		key: key, transport: t, log: g.settings.Logger, agent: "goma-gateway/" + g.settings.Version,
		stop: stop, done: make(chan struct{}),
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

// run asks at once, give or take a moment so that not all probes ask together,
// and then at every interval.
func (p *probe) run(ctx context.Context) {
	defer close(p.done)
	const mostJitter = 100 * time.Millisecond
	timer := time.NewTimer(rand.N(min(mostJitter, p.key.interval))) //nolint:gosec // no secret
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		p.note(ctx, p.safely(ctx))
		timer.Reset(p.key.interval)
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
	_, _ = io.CopyN(io.Discard, resp.Body, maxProbeBody)
	_ = resp.Body.Close()
	if !p.healthy(resp.StatusCode) {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

func (p *probe) healthy(status int) bool {
	if p.key.statuses == "[]" {
		return status < http.StatusBadRequest
	}
	return slices.Contains(strings.Fields(strings.Trim(p.key.statuses, "[]")), fmt.Sprint(status))
}

// note keeps a result and tells of a change.
func (p *probe) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	was, _ := p.state()
	if err == nil {
		p.result.Store(nil)
		if !was {
			p.log.Info("endpoint is healthy again", "endpoint", p.key.host, "path", p.key.url)
		}
		return
	}
	reason := err.Error()
	p.result.Store(&reason)
	if was {
		p.log.Warn("endpoint is not healthy", "endpoint", p.key.host, "path", p.key.url, "err", reason)
	}
}
