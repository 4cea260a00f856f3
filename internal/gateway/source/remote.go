// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Fetcher brings what a remote origin has. Its methods are called one at a time.
type Fetcher interface {
	// Restore gives what an earlier process has kept on disk; nil when it kept
	// nothing, an error when there is something that cannot be trusted.
	Restore() (*Content, error)
	// Fetch asks the origin. With wait it may let the origin hold its answer back
	// until something changes. It returns soon after the end of the context.
	Fetch(ctx context.Context, wait bool) (Fetched, error)
	// Close gives up idle connections. Fetch may still be called afterwards.
	Close()
}

// Content is what an origin delivered.
type Content struct {
	Bundle *config.Bundle
	// Problems are those of its documents.
	Problems []config.Problem
	Checksum string
	// Confirmed is when the origin last said that this is its newest.
	Confirmed time.Time
}

// Fetched is the result of asking an origin.
type Fetched struct {
	// Content is nil when it is what the origin gave, or Restore, before.
	Content *Content
	// Again says that the origin has held its answer back, and can be asked again
	// at once.
	Again bool
	// Problems are warnings that are not about a document.
	Problems []config.Problem
}

// Later is an error of an origin that asked to be left alone for a while.
type Later struct {
	Err   error
	After time.Duration
}

func (l *Later) Error() string { return l.Err.Error() }
func (l *Later) Unwrap() error { return l.Err }

// Aged is a source whose content may be older than that of its origin.
type Aged interface {
	// Age gives when the origin last confirmed the content, zero for never, and
	// whether it failed to do so since.
	Age() (confirmed time.Time, stale bool)
}

// RemoteOptions say how an origin is asked. All fields are required.
type RemoteOptions struct {
	Name string
	Kind config.Source
	// Origin is the name of the origin for messages, without credentials, and Field
	// the setting that holds it.
	Origin, Field string
	// Interval is the time between two rounds; it is spread by a tenth.
	Interval time.Duration
	// Attempts are the tries of one round, the first included, RetryDelay the time
	// after the first; it doubles with each.
	Attempts   int
	RetryDelay time.Duration
}

// Bounds of the time between two rounds. The longest are, where the interval is
// shorter, for an origin that fails and for one that asked for it.
const (
	// shortestPause bounds what an origin costs that never waits, though it says so.
	shortestPause  = 100 * time.Millisecond
	longestBackoff = time.Minute
	longestLater   = 10 * time.Minute
)

// Remote asks an origin again and again. What it delivered stays in use while it
// fails. Content of an earlier process is used when the first try fails, and as
// soon as the origin says that it is its newest. S1
type Remote struct {
	o       RemoteOptions
	fetcher Fetcher
	refresh Refreshes
	nudge   chan struct{}
	age     atomic.Pointer[age]

	// What follows belongs to the goroutine of Run.
	restored  bool
	held      *Content
	confirmed bool // since the start of the process
	extra     []config.Problem
	failure   []config.Problem
	last      Update
	published bool
}

type age struct {
	confirmed time.Time
	stale     bool
}

var (
	_ Source    = (*Remote)(nil)
	_ Refresher = (*Remote)(nil)
	_ Aged      = (*Remote)(nil)
)

// NewRemote makes the source; nothing is asked before Run.
func NewRemote(o RemoteOptions, f Fetcher) *Remote {
	o.Attempts = max(o.Attempts, 1)
	r := &Remote{o: o, fetcher: f, refresh: make(Refreshes), nudge: make(chan struct{}, 1)}
	r.age.Store(&age{stale: true})
	return r
}

// Name implements Source.
func (r *Remote) Name() string { return r.o.Name }

// Kind implements Source.
func (r *Remote) Kind() config.Source { return r.o.Kind }

// Refresh implements Refresher. The error is that of the origin.
func (r *Remote) Refresh(ctx context.Context) error { return r.refresh.Ask(ctx) }

// Nudge has the origin asked soon, without waiting for it. Nudges that come while
// one is waiting become one.
func (r *Remote) Nudge() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// Age implements Aged.
func (r *Remote) Age() (confirmed time.Time, stale bool) {
	a := r.age.Load()
	return a.confirmed, a.stale
}

// Run implements Source.
func (r *Remote) Run(ctx context.Context, publish func(Update)) error {
	r.restore()
	run := &remoteRun{Remote: r, publish: publish, results: make(chan result, 1), timer: time.NewTimer(0)}
	defer run.timer.Stop()
	defer r.fetcher.Close()
	for {
		select {
		case <-ctx.Done():
			run.stop(ctx.Err())
			return nil
		case <-run.timer.C:
			run.begin(ctx, true)
		case done := <-r.refresh:
			run.ask(ctx, done)
		case <-r.nudge:
			run.ask(ctx, nil)
		case result := <-run.results:
			run.end(ctx, result)
		}
	}
}

// restore reads what is on disk, once in the life of the process.
func (r *Remote) restore() {
	if r.restored {
		return
	}
	r.restored = true
	content, err := r.fetcher.Restore()
	if err != nil {
		r.extra = []config.Problem{r.problem(config.SeverityWarning, fmt.Sprintf("what was kept of it is not used: %v", err))}
		return
	}
	if content != nil {
		r.held = content
		r.age.Store(&age{confirmed: content.Confirmed, stale: true})
	}
}

func (r *Remote) problem(severity config.Severity, message string) config.Problem {
	return config.Problem{
		Object: config.ObjectRef{Kind: "Gateway"}, Field: r.o.Field, Reason: config.ReasonUnreadable,
		Severity: severity, Message: r.o.Origin + ": " + message,
	}
}

// succeed takes over what the origin said.
func (r *Remote) succeed(f Fetched) error {
	if f.Content == nil && r.held == nil {
		return errors.New("the answer is that nothing has changed, but nothing was received before")
	}
	if f.Content != nil {
		if r.held != nil {
			f.Content.Bundle = Reuse(r.held.Bundle, f.Content.Bundle)
		}
		r.held = f.Content
	}
	r.confirmed, r.failure, r.extra = true, nil, f.Problems
	r.held.Confirmed = time.Now()
	r.age.Store(&age{confirmed: r.held.Confirmed})
	return nil
}

// fail takes an error into account. The text must not change with each try: it
// stands in the log once.
func (r *Remote) fail(err error) {
	consequence := "routes and middlewares of this source are missing, and the gateway is not ready before they come"
	var confirmed time.Time
	if r.held != nil {
		confirmed = r.held.Confirmed
		consequence = "its last good content stays in use"
		if !r.confirmed {
			consequence = "what an earlier process received at " + confirmed.UTC().Format(time.RFC3339) + " is in use"
		}
	}
	r.failure = []config.Problem{r.problem(config.SeverityError, fmt.Sprintf("cannot be read: %v; %s", err, consequence))}
	r.age.Store(&age{confirmed: confirmed, stale: true})
}

// tell publishes what is known, if it is new. What is on disk counts once the
// origin has been asked.
func (r *Remote) tell(publish func(Update)) {
	var next Update
	if r.held != nil {
		next = Update{Bundle: r.held.Bundle, Checksum: r.held.Checksum, Problems: slices.Clone(r.held.Problems)}
	}
	next.Problems = append(append(next.Problems, r.extra...), r.failure...)
	if r.published && next.Bundle == r.last.Bundle && next.Checksum == r.last.Checksum &&
		slices.Equal(next.Problems, r.last.Problems) {
		return
	}
	r.last, r.published = next, true
	publish(next)
}

// remoteRun is one run: at most one try at a time.
type remoteRun struct {
	*Remote
	publish func(Update)
	results chan result
	timer   *time.Timer

	// cancel ends the try that runs; nil when none does.
	cancel context.CancelFunc
	// waiting says that the origin may hold its answer back.
	waiting bool
	// askers wait for the try that runs, next for the one after it; again says that
	// there must be one.
	askers, next []chan error
	again        bool
	// tries are the failed ones of this round, rounds those that failed in a row.
	tries, rounds int
}

type result struct {
	fetched Fetched
	err     error
}

// begin starts a try.
func (r *remoteRun) begin(ctx context.Context, wait bool) {
	if r.cancel != nil {
		return
	}
	ctx, r.cancel = context.WithCancel(ctx)
	// Only an origin that is well may be waited for.
	r.waiting = wait && r.confirmed && r.failure == nil
	wait = r.waiting
	go func() {
		var out result
		defer func() {
			if p := recover(); p != nil {
				out.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			r.results <- out
		}()
		out.fetched, out.err = r.fetcher.Fetch(ctx, wait)
	}()
}

// ask has the origin asked now. A try that runs may have begun before the change
// that the asker means, so another one follows; one that waits is given up.
func (r *remoteRun) ask(ctx context.Context, done chan error) {
	list := &r.askers
	if r.cancel != nil {
		list, r.again = &r.next, true
		if r.waiting {
			r.cancel()
		}
	}
	if done != nil {
		*list = append(*list, done)
	}
	r.begin(ctx, false)
}

// end takes the result of a try.
func (r *remoteRun) end(ctx context.Context, out result) {
	r.cancel()
	r.cancel = nil
	// What it brought in spite of being given up counts.
	givenUp := r.waiting && r.again && out.err != nil
	if !givenUp {
		if out.err == nil {
			out.err = r.succeed(out.fetched)
		}
		r.schedule(out)
		for _, done := range r.askers {
			done <- out.err
		}
		r.askers = nil
	}
	if r.again {
		r.askers, r.next, r.again = append(r.askers, r.next...), nil, false
		r.begin(ctx, false)
	}
}

// schedule tells of the result, and sets the time of the next try.
func (r *remoteRun) schedule(out result) {
	if out.err == nil {
		r.tries, r.rounds = 0, 0
		r.tell(r.publish)
		pause := spread(r.o.Interval)
		if out.fetched.Again {
			pause = min(r.o.Interval, shortestPause)
		}
		r.timer.Reset(pause)
		return
	}
	r.tries++
	roundFailed := r.tries >= r.o.Attempts
	// A single lost answer is no news while there is something to serve.
	if roundFailed || !r.confirmed || r.failure != nil {
		r.fail(out.err)
		r.tell(r.publish)
	}
	pause := r.o.RetryDelay << min(r.tries-1, 16)
	if roundFailed {
		r.tries = 0
		r.rounds++
		pause = backoff(r.o.Interval, r.rounds)
	}
	var later *Later
	if errors.As(out.err, &later) {
		pause = max(pause, min(later.After, longestLater))
	}
	r.timer.Reset(spread(pause))
}

// backoff gives the time after a number of rounds that failed: never less than the
// interval, and growing to longestBackoff where that is longer.
func backoff(interval time.Duration, rounds int) time.Duration {
	if interval >= longestBackoff {
		return interval
	}
	return min(interval<<min(rounds-1, 16), longestBackoff)
}

// spread keeps many gateways from asking at one time.
func spread(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d - d/10 + rand.N(d/5+1)
}

// stop ends the try that runs, and refuses those who wait.
func (r *remoteRun) stop(err error) {
	if r.cancel != nil {
		r.cancel()
		<-r.results
		r.cancel = nil
	}
	for _, done := range append(r.askers, r.next...) {
		done <- err
	}
}
