// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// epoch is what times are counted from, by the monotonic clock.
var epoch = time.Now()

// What is not configured.
const (
	defaultErrors     = 5
	defaultEjection   = 30 * time.Second
	defaultLongest    = 300 * time.Second
	defaultMaxEjected = 50 // per cent
	defaultPanic      = 50 // per cent
)

// outlierRules say when an endpoint is taken out; the zero value never.
type outlierRules struct {
	errors        int32
	base, longest time.Duration
}

// outlierLimits say how many endpoints of a Cluster may be out.
type outlierLimits struct {
	maxEjected, panic int

	// mu lets one endpoint be judged at a time, so that the share that is out
	// stays within its limit.
	mu sync.Mutex
}

func newOutliers(o *config.OutlierDetection) (outlierRules, *outlierLimits) {
	if o == nil {
		return outlierRules{}, nil
	}
	rules := outlierRules{errors: defaultErrors, base: defaultEjection, longest: defaultLongest}
	if o.ConsecutiveErrors > 0 {
		rules.errors = int32(min(o.ConsecutiveErrors, 1<<30)) //nolint:gosec // bounded
	}
	if o.BaseEjectionTime > 0 {
		rules.base = o.BaseEjectionTime.Std()
	}
	if o.MaxEjectionTime > 0 {
		rules.longest = o.MaxEjectionTime.Std()
	}
	rules.longest = max(rules.longest, rules.base)
	return rules, &outlierLimits{maxEjected: or(o.MaxEjectionPercent, defaultMaxEjected), panic: or(o.PanicThreshold, defaultPanic)}
}

// panics tells whether too few endpoints are left to do without those that were
// taken out. None left is always too few.
func (l *outlierLimits) panics(serving, members int) bool {
	return l != nil && (serving == 0 || serving*100 < members*l.panic)
}

// standingKey is what makes two standings one: to whom, and by which rules.
type standingKey struct {
	conns connPoolKey
	rules outlierRules
}

// standing is what requests have shown of an endpoint. It is shared by the routes
// that judge it by the same rules, and outlives their changes.
type standing struct {
	name  string
	rules outlierRules
	log   *slog.Logger

	// active counts the requests under way, for the policy leastRequest alone.
	active atomic.Int64
	// failures counts those in a row.
	failures atomic.Int32
	out      atomic.Bool
	// since is when it came, or came back, after epoch.
	since atomic.Int64

	mu sync.Mutex

	times  int // how often it was taken out in a row
	timer  *time.Timer
	closed bool
}

func (g *Registry) newStanding(e *Endpoint, rules outlierRules) *standing {
	s := &standing{name: e.name, rules: rules, log: g.settings.Logger}
	s.since.Store(int64(time.Since(epoch)))
	return s
}

// eject takes the endpoint out for a while, each time in a row for longer. It is false
// when there is nothing to do.
func (s *standing) eject() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.out.Load() {
		return false
	}
	back := time.Duration(s.since.Load())
	if s.times > 0 && time.Since(epoch)-back > s.rules.longest {
		s.times = 0 // it has done well for long
	}
	s.times++
	span := min(s.rules.base*time.Duration(s.times), s.rules.longest)
	s.out.Store(true)
	s.timer = time.AfterFunc(span, s.readmit)
	s.log.Warn("endpoint is taken out, since it fails requests", "endpoint", s.name, "failures", s.failures.Load(), "duration", span)
	return true
}

func (s *standing) readmit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.failures.Store(0)
	s.since.Store(int64(time.Since(epoch)))
	s.out.Store(false)
	s.log.Info("endpoint gets requests again", "endpoint", s.name)
}

// Close ends what was to come.
func (s *standing) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	return nil
}

// ejected tells that the endpoint was taken out for failing requests.
func (e *Endpoint) ejected() bool { return e.standing != nil && e.standing.out.Load() }

// warmth is how much of its share, in per cent, an endpoint gets that came back not
// long ago: little at first, but never nothing.
func (e *Endpoint) warmth(now, slowStart time.Duration) int {
	const least = 10
	since := time.Duration(e.standing.since.Load())
	if back, ever := e.probe.recovered(); ever {
		since = max(since, back)
	}
	if age := now - since; age < slowStart {
		return max(least, int(age*100/slowStart))
	}
	return 100
}

// Enter says that a request goes to the endpoint; Leave is called when it is over.
func (e *Endpoint) Enter() {
	if e.cluster.policy == leastRequest {
		e.standing.active.Add(1)
	}
}

// Leave says that a request is over.
func (e *Endpoint) Leave() {
	if e.cluster.policy == leastRequest {
		e.standing.active.Add(-1)
	}
}

// Note says what came of a request: whether the endpoint failed it. Too many
// failures in a row take the endpoint out, if enough others are left. L4
func (e *Endpoint) Note(failed bool) {
	s, limits := e.standing, e.cluster.outliers
	if limits == nil {
		return
	}
	if !failed {
		if s.failures.Load() != 0 {
			s.failures.Store(0)
		}
		return
	}
	if s.failures.Add(1) < s.rules.errors || s.out.Load() {
		return
	}
	limits.mu.Lock()
	defer limits.mu.Unlock()
	if e.cluster.maySpare(limits.maxEjected) && s.eject() {
		e.conns.meter.ejected.Add(1)
	}
}

// maySpare tells whether one more endpoint may be out.
func (c *Cluster) maySpare(percent int) bool {
	out := 1
	for _, e := range c.endpoints {
		if e.ejected() {
			out++
		}
	}
	return len(c.endpoints) > 1 && out*100 <= percent*len(c.endpoints)
}
