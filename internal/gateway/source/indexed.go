// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// Indexed reads the directory that goma-k8s-provider writes. Its first Bundle is
// the first complete one; the cost of a change is the size of the change.
type Indexed struct {
	name, dir string
	parse     Parser
	refresh   Refreshes
	wake      chan struct{}

	mu     sync.Mutex
	answer *wire.Answer
}

var (
	_ Source    = (*Indexed)(nil)
	_ Refresher = (*Indexed)(nil)
	_ Answerer  = (*Indexed)(nil)
)

// NewIndexed makes the source. The directory need not exist yet.
func NewIndexed(name, dir string, parse Parser) *Indexed {
	return &Indexed{name: name, dir: dir, parse: parse, refresh: make(Refreshes), wake: make(chan struct{}, 1)}
}

// Name implements Source.
func (x *Indexed) Name() string { return x.name }

// Kind implements Source.
func (x *Indexed) Kind() config.Source { return config.SourceKubernetes }

// Refresh implements Refresher.
func (x *Indexed) Refresh(ctx context.Context) error { return x.refresh.Ask(ctx) }

// Answer implements Answerer.
func (x *Indexed) Answer(a wire.Answer) {
	x.mu.Lock()
	x.answer = &a
	x.mu.Unlock()
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// answerRetry is the pause after an answer could not be written.
const answerRetry = time.Second

// Run implements Source.
func (x *Indexed) Run(ctx context.Context, publish func(Update)) error {
	reader := wire.NewReader(x.dir).WithParser(x.parse)
	defer reader.Close() //nolint:errcheck // nothing was written
	w := NewWatcher()
	defer w.Close()
	run := &indexedRun{Indexed: x, reader: reader, publish: publish}
	_ = run.look(w)
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			// What has been applied is still told.
			_ = x.writeAnswer()
			return nil
		case <-w.Changed():
			_ = run.look(w)
		case done := <-x.refresh:
			done <- run.look(w)
		case <-x.wake:
			if x.writeAnswer() != nil {
				retry.Reset(answerRetry)
			}
		case <-retry.C:
			if x.writeAnswer() != nil {
				retry.Reset(answerRetry)
			}
		}
	}
}

// writeAnswer writes the newest answer, if there is one to write.
func (x *Indexed) writeAnswer() error {
	x.mu.Lock()
	a := x.answer
	x.mu.Unlock()
	if a == nil {
		return nil
	}
	if err := wire.WriteAnswer(x.dir, *a); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.answer == a {
		x.answer = nil
	}
	return nil
}

// indexedRun is one run.
type indexedRun struct {
	*Indexed
	reader  *wire.Reader
	publish func(Update)
	last    Update
}

// look reads what is new and publishes it.
func (x *indexedRun) look(w *Watcher) error {
	for {
		added := w.Watch([]string{x.reader.Index()})
		err := x.read()
		if err != nil || !added {
			return err
		}
	}
}

func (x *indexedRun) read() error {
	view, changed, err := x.reader.Read()
	next := x.last
	switch {
	case err != nil:
		next.Problems = []config.Problem{{
			Object:  config.ObjectRef{Kind: "File", Name: x.reader.Index(), Source: wire.Source},
			Reason:  config.ReasonUnreadable,
			Message: fmt.Sprintf("routes of goma-k8s-provider cannot be read: %v; what was read before stays in use", err),
		}}
	case view == nil:
		return nil
	case changed || next.Bundle != view.Bundle || !slices.Equal(next.Problems, view.Problems):
		next = Update{
			Bundle: view.Bundle, Problems: view.Problems, Generation: view.Generation, Checksum: view.Checksum,
		}
	}
	if next.Bundle != x.last.Bundle || next.Generation != x.last.Generation || !slices.Equal(next.Problems, x.last.Problems) {
		x.last = next
		x.publish(next)
	}
	return err
}
