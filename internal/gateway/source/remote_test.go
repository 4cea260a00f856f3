// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// origin is a Fetcher that answers as the test says.
type origin struct {
	mu       sync.Mutex
	answer   func(ctx context.Context, wait bool) (Fetched, error)
	restored *Content
	rotten   error
	asked    []time.Time
}

func (o *origin) Restore() (*Content, error) { return o.restored, o.rotten }

func (o *origin) Fetch(ctx context.Context, wait bool) (Fetched, error) {
	o.mu.Lock()
	o.asked = append(o.asked, time.Now())
	answer := o.answer
	o.mu.Unlock()
	return answer(ctx, wait)
}

func (o *origin) Close() {}

func (o *origin) set(answer func(context.Context, bool) (Fetched, error)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = answer
}

func (o *origin) times() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.asked)
}

func gives(c *Content) func(context.Context, bool) (Fetched, error) {
	return func(context.Context, bool) (Fetched, error) { return Fetched{Content: c}, nil }
}

func fails(err error) func(context.Context, bool) (Fetched, error) {
	return func(context.Context, bool) (Fetched, error) { return Fetched{}, err }
}

func content(names ...string) *Content {
	b := &config.Bundle{Routes: []*config.Route{}}
	for _, n := range names {
		b.Routes = append(b.Routes, &config.Route{Name: n, Path: "/" + n})
	}
	return &Content{Bundle: b, Checksum: strings.Join(names, ",")}
}

// remote runs a source in a bubble of its own time.
func remote(t *testing.T, o *origin, check func(t *testing.T, r *Remote, seen func() []Update)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := NewRemote(RemoteOptions{
			Name: "http", Kind: config.SourceHTTP, Origin: "http://o", Field: "f",
			Interval: time.Minute, Attempts: 3, RetryDelay: 2 * time.Second,
		}, o)
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var updates []Update
		done := make(chan error, 1)
		go func() {
			done <- r.Run(ctx, func(u Update) {
				mu.Lock()
				defer mu.Unlock()
				updates = append(updates, u)
			})
		}()
		check(t, r, func() []Update {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return updates
		})
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the run ended with %v", err)
		}
	})
}

func TestARemoteSourceIsTriedForEver(t *testing.T) { // S1
	t.Parallel()
	o := &origin{answer: fails(errors.New("away"))}
	remote(t, o, func(t *testing.T, r *Remote, seen func() []Update) {
		u := seen()
		if len(u) != 1 || u[0].Bundle != nil || len(u[0].Problems) != 1 || !strings.Contains(u[0].Problems[0].Message, "away") {
			t.Fatalf("after the first try: %+v", u)
		}
		time.Sleep(24 * time.Hour)
		if n := len(seen()); n != 1 {
			t.Errorf("the same failure was told %d times", n)
		}
		if n := o.times(); n < 24*60 || n > 3*25*60 {
			t.Errorf("%d tries in a day", n)
		}
		o.set(gives(content("a")))
		time.Sleep(2 * time.Minute)
		last := seen()[len(seen())-1]
		if last.Bundle == nil || len(last.Problems) != 0 {
			t.Errorf("after the repair: %+v", last)
		}
		if at, stale := r.Age(); stale || time.Since(at) > 2*time.Minute {
			t.Errorf("age %v %v", at, stale)
		}
	})
}

func TestARoundHasItsTriesAndTheirPauses(t *testing.T) {
	t.Parallel()
	o := &origin{answer: fails(errors.New("away"))}
	remote(t, o, func(t *testing.T, _ *Remote, seen func() []Update) {
		start := time.Now()
		time.Sleep(50 * time.Second)
		seen()
		if len(o.asked) != 3 {
			t.Fatalf("%d tries in one round", len(o.asked))
		}
		for i, want := range []time.Duration{0, 2 * time.Second, 6 * time.Second} {
			have := o.asked[i].Sub(start)
			if have < want*9/10 || have > want*11/10 {
				t.Errorf("try %d after %v, want about %v", i, have, want)
			}
		}
	})
}

func TestWhatWasReceivedStaysWhileTheOriginIsAway(t *testing.T) { // S1
	t.Parallel()
	first := content("a")
	o := &origin{answer: gives(first)}
	remote(t, o, func(t *testing.T, r *Remote, seen func() []Update) {
		seen()
		o.set(fails(errors.New("away")))
		time.Sleep(5 * time.Minute)
		u := seen()
		if len(u) != 2 || u[1].Bundle != first.Bundle || len(u[1].Problems) != 1 ||
			!strings.Contains(u[1].Problems[0].Message, "last good content stays") {
			t.Fatalf("updates %+v", u)
		}
		if _, stale := r.Age(); !stale {
			t.Error("nobody says that it is stale")
		}
	})
}

func TestASingleLostAnswerIsNoNews(t *testing.T) {
	t.Parallel()
	o := &origin{answer: gives(content("a"))}
	remote(t, o, func(t *testing.T, _ *Remote, seen func() []Update) {
		seen()
		o.set(func(context.Context, bool) (Fetched, error) {
			o.answer = gives(content("a"))
			return Fetched{}, errors.New("lost")
		})
		time.Sleep(5 * time.Minute)
		if u := seen(); len(u) != 1 {
			t.Errorf("updates %+v", u)
		}
	})
}

func TestWhatAnEarlierProcessKeptServesWhileTheOriginIsAway(t *testing.T) { // B1, S1
	t.Parallel()
	kept := content("kept")
	kept.Confirmed = time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)
	o := &origin{restored: kept, answer: fails(errors.New("away"))}
	remote(t, o, func(t *testing.T, r *Remote, seen func() []Update) {
		u := seen()
		if len(u) != 1 || u[0].Bundle != kept.Bundle || !strings.Contains(u[0].Problems[0].Message, "1999-12-31") {
			t.Fatalf("updates %+v", u)
		}
		if at, stale := r.Age(); !stale || !at.Equal(kept.Confirmed) {
			t.Errorf("age %v %v", at, stale)
		}
		o.set(gives(nil)) // nothing has changed since
		time.Sleep(5 * time.Minute)
		u = seen()
		if last := u[len(u)-1]; last.Bundle != kept.Bundle || len(last.Problems) != 0 {
			t.Errorf("after the origin has confirmed it: %+v", last)
		}
	})
}

func TestWhatIsOnDiskDoesNotServeBeforeTheOriginWasAsked(t *testing.T) {
	t.Parallel()
	o := &origin{restored: content("old"), answer: gives(content("new"))}
	remote(t, o, func(t *testing.T, _ *Remote, seen func() []Update) {
		if u := seen(); len(u) != 1 || u[0].Bundle.Routes[0].Name != "new" {
			t.Errorf("updates %+v", u)
		}
	})
}

func TestAFileThatCannotBeTrustedIsReportedAndNotUsed(t *testing.T) { // S3
	t.Parallel()
	o := &origin{rotten: errors.New("poison"), answer: fails(errors.New("away"))}
	remote(t, o, func(t *testing.T, _ *Remote, seen func() []Update) {
		u := seen()
		if len(u) != 1 || u[0].Bundle != nil || len(u[0].Problems) != 2 || u[0].Problems[0].Severity != config.SeverityWarning {
			t.Errorf("updates %+v", u)
		}
	})
}

func TestNothingNewWithoutAnythingInHandIsAnError(t *testing.T) { // S3
	t.Parallel()
	o := &origin{answer: gives(nil)}
	remote(t, o, func(t *testing.T, _ *Remote, seen func() []Update) {
		if u := seen(); len(u) != 1 || u[0].Bundle != nil || len(u[0].Problems) != 1 {
			t.Errorf("updates %+v", u)
		}
	})
}

func TestEqualObjectsKeepTheirPointers(t *testing.T) {
	t.Parallel()
	first, same, other := content("a", "b"), content("a", "b"), content("a", "b", "c")
	same.Bundle.Routes[0].Meta.Position.Line = 7
	if Reuse(first.Bundle, same.Bundle) != first.Bundle {
		t.Error("an equal Bundle is another one")
	}
	other.Bundle.Routes[1].Path = "/elsewhere"
	next := Reuse(first.Bundle, other.Bundle)
	if next.Routes[0] != first.Bundle.Routes[0] || next.Routes[1] == first.Bundle.Routes[1] || len(next.Routes) != 3 {
		t.Errorf("routes %v", next.Routes)
	}
}

func TestARefreshIsAnsweredByATryThatBeganAfterIt(t *testing.T) {
	t.Parallel()
	o := &origin{}
	o.set(func(context.Context, bool) (Fetched, error) {
		time.Sleep(time.Second)
		return Fetched{Content: content("old")}, nil
	})
	remote(t, o, func(t *testing.T, r *Remote, seen func() []Update) {
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- r.Refresh(t.Context()) }()
		}
		seen()
		o.set(gives(content("new")))
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		u := seen()
		if u[len(u)-1].Bundle.Routes[0].Name != "new" {
			t.Errorf("updates %+v", u)
		}
		o.set(fails(errors.New("away")))
		if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "away") {
			t.Errorf("refresh gives %v", err)
		}
	})
}

func TestAnOriginThatWaitsIsAskedAgainAtOnceAndInterruptedByARefresh(t *testing.T) {
	t.Parallel()
	o := &origin{}
	count := 0
	o.set(func(ctx context.Context, wait bool) (Fetched, error) {
		count++
		if !wait {
			return Fetched{Content: content(fmt.Sprint("n", count))}, nil
		}
		select {
		case <-ctx.Done():
			return Fetched{}, ctx.Err()
		case <-time.After(30 * time.Second):
			return Fetched{Again: true}, nil
		}
	})
	remote(t, o, func(t *testing.T, r *Remote, seen func() []Update) {
		seen()
		time.Sleep(90 * time.Second) // into the first wait
		if err := r.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		u := seen()
		if len(u) < 2 || len(u[len(u)-1].Problems) != 0 {
			t.Errorf("updates %+v", u)
		}
		before := o.times()
		time.Sleep(10 * time.Minute)
		if n := o.times() - before; n < 15 || n > 21 {
			t.Errorf("asked %d times in ten minutes, want one for each 30 s", n)
		}
	})
}

func TestAnOriginThatAskedForItIsLeftAlone(t *testing.T) {
	t.Parallel()
	o := &origin{answer: fails(&Later{Err: errors.New("busy"), After: 5 * time.Minute})}
	remote(t, o, func(t *testing.T, _ *Remote, seen func() []Update) {
		time.Sleep(4 * time.Minute)
		seen()
		if n := o.times(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestAPanicOfAFetcherIsItsFailure(t *testing.T) { // E5
	t.Parallel()
	o := &origin{answer: func(context.Context, bool) (Fetched, error) { panic("boom") }}
	remote(t, o, func(t *testing.T, _ *Remote, seen func() []Update) {
		if u := seen(); len(u) != 1 || !strings.Contains(u[0].Problems[0].Message, "boom") {
			t.Errorf("updates %+v", u)
		}
		o.set(gives(content("a")))
		time.Sleep(time.Minute)
		if u := seen(); u[len(u)-1].Bundle == nil {
			t.Errorf("updates %+v", u)
		}
	})
}

func TestTheEndOfAFetchIsWaitedFor(t *testing.T) {
	t.Parallel()
	o := &origin{answer: func(ctx context.Context, _ bool) (Fetched, error) { <-ctx.Done(); return Fetched{}, ctx.Err() }}
	remote(t, o, func(t *testing.T, r *Remote, seen func() []Update) {
		done := make(chan error, 1)
		go func() { done <- r.Refresh(t.Context()) }()
		if u := seen(); len(u) != 0 {
			t.Errorf("updates %+v", u)
		}
	})
}

func TestWhatCameInSpiteOfBeingGivenUpIsNotLost(t *testing.T) {
	t.Parallel()
	o := &origin{}
	first := true
	o.set(func(ctx context.Context, wait bool) (Fetched, error) {
		if wait {
			<-ctx.Done()
			return Fetched{Content: content("late")}, nil // it does not tell it again
		}
		if !first {
			return Fetched{}, nil
		}
		first = false
		return Fetched{Content: content("a")}, nil
	})
	remote(t, o, func(t *testing.T, r *Remote, seen func() []Update) {
		time.Sleep(2 * time.Minute)
		if err := r.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		u := seen()
		if last := u[len(u)-1]; last.Bundle.Routes[0].Name != "late" {
			t.Errorf("updates %+v", u)
		}
	})
}
