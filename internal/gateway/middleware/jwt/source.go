// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// source is where keys come from. It is safe for concurrent use.
type source interface {
	// current gives the keys at hand, without waiting; nil when none are known.
	current() *keySet
	// find gives keys among which is that of a name, if there is any. It fails with
	// errAway where no keys are known, and when the context ends.
	find(ctx context.Context, id string) (*keySet, error)
}

var (
	_ source = (*keySet)(nil)
	_ source = (*remote)(nil)
)

// errAway says that nobody can decide on a token.
var errAway = errors.New("the keys are not known")

func (s *keySet) current() *keySet { return s }

func (s *keySet) find(context.Context, string) (*keySet, error) { return s, nil }

// nobody has no keys at all: for a configuration that is only checked.
type nobody struct{}

func (nobody) current() *keySet                              { return nil }
func (nobody) find(context.Context, string) (*keySet, error) { return nil, errAway }

// origin says where the keys of a rule come from: one of these.
type origin struct {
	remote remoteKey
	// static keys stand in the rule.
	static *keySet
	// file holds a key set, or public keys where pem is set.
	file string
	pem  bool
}

// open gives the source. Keys of a provider are shared, and outlive reloads.
func (o origin) open(b definition.Build) (source, error) {
	switch {
	case o.static != nil:
		return o.static, nil
	case o.file != "":
		return o.readFile(b)
	case b.CheckOnly:
		return nobody{}, nil
	}
	m, release, err := pool.Get(b.Pool, o.remote, func() (*remote, error) { return newRemote(o.remote, b.Logger, time.Now) })
	if err != nil {
		return nil, err
	}
	b.Track(release)
	return m, nil
}

func (o origin) readFile(b definition.Build) (source, error) {
	field, parse := "jwksFile", readSet
	if o.pem {
		field, parse = "publicKey", readPEM
	}
	data, err := b.ReadFile(o.file, maxSetBytes)
	if errors.Is(err, definition.ErrUnread) {
		return nobody{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	set, err := parse(string(data))
	if err != nil {
		return nil, fmt.Errorf("the file of %s %w", field, err)
	}
	return set, nil
}

// readPEM reads public keys in PEM, or in base64 of it.
func readPEM(text string) (*keySet, error) {
	if plain := unwrapped(text); isPEM(plain) {
		text = plain
	}
	keys, err := parsePEM(text)
	return &keySet{keys: keys}, err
}

// readSet reads a key set in JSON, or in base64 of it.
func readSet(text string) (*keySet, error) {
	if plain := unwrapped(text); isObject(plain) {
		text = plain
	}
	return parseSet([]byte(text))
}

func isObject(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "{") }
