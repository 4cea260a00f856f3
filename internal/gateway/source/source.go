// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package source is where Bundles come from: a directory of files, the directory
// that goma-k8s-provider writes, memory, or a remote origin that a Fetcher asks.
//
// Every source keeps its promises in the same way. It publishes whole Bundles
// only. What it cannot read it reports, and keeps the last good version of; it
// tries again for ever, so repairing the cause needs no restart. An object that
// did not change keeps its pointer as far as the source can tell.
package source

import (
	"context"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// Source delivers Bundles.
type Source interface {
	// Name is for logs and messages, and unique in a gateway.
	Name() string
	// Kind ranks the source among the others.
	Kind() config.Source
	// Run publishes an Update whenever there is something new, until the
	// context ends; then it returns nil. It is called again, after a pause, when
	// it returns an error. Publish does not block, and is not called after Run
	// has returned.
	Run(ctx context.Context, publish func(Update)) error
}

// Update is what a source has to say.
type Update struct {
	// Bundle is all that the source delivers. When it is nil, the one before
	// stays, and only the problems are new; before the first Bundle the gateway
	// is not ready.
	Bundle *config.Bundle
	// Problems are those of the source and its documents: all, not only new ones.
	Problems []config.Problem
	// Generation and Checksum identify the Bundle to whoever wrote it.
	Generation uint64
	Checksum   string
}

// Refresher is a source that can be told to look now. When Refresh returns, what
// is new has been published.
type Refresher interface {
	Refresh(ctx context.Context) error
}

// Answerer is a source whose writer wants to know what became of its Bundle.
type Answerer interface {
	// Answer takes the newest answer. It does not block; of several that come
	// while one is being written only the last is kept.
	Answer(a wire.Answer)
}

// Parser reads a bundle document. The error is for a document of which nothing
// can be used; an object that is not returned is set aside with a Problem.
type Parser = wire.Parser

// Refreshes is how Refresh reaches the goroutine of Run, which receives a channel
// and sends it the result.
type Refreshes chan chan error

// Ask waits for the result, or for the end of the context.
func (r Refreshes) Ask(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case r <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
