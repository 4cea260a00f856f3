// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package store says what the replicas of a gateway share, and how they get at it.
// Package store/redis keeps it in Redis.
package store

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"encoding/hex"
	"errors"
	"time"
)

// ErrUnavailable is the error of a Store that does not answer, or that is left
// alone for a moment because it did not. It never means that a key is missing.
var ErrUnavailable = errors.New("the shared store is not available")

// KeptPrefix starts the keys that a flush at the start leaves alone: what they hold
// cannot be had again at will.
const KeptPrefix = "kept:"

// Store is a map of bytes that several gateways see alike. Each call takes some
// 20 ms at most; one that fails gives an error that wraps ErrUnavailable, and
// tells nothing of whether it took effect. Keys are without the prefix of the
// gateway, which the Store adds. It is safe for concurrent use.
type Store interface {
	// Eval runs a script, which acts on the keys as one step, and gives its whole
	// numbers.
	Eval(ctx context.Context, script *Script, keys []string, args ...any) ([]int64, error)
	// Get gives the value of a key; ok is false when there is none.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	// Set gives a key a value that leaves after ttl, which must be positive.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete takes keys out. A key that does not exist is no error.
	Delete(ctx context.Context, keys ...string) error
}

// Script is a program in Lua that answers with a list of whole numbers. It is made
// once, by NewScript.
type Script struct{ source, digest string }

// NewScript makes a script.
func NewScript(source string) *Script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // Redis names scripts by it
	return &Script{source: source, digest: hex.EncodeToString(sum[:])}
}

// Source is the text of the script.
func (s *Script) Source() string { return s.source }

// Digest is the name under which Redis keeps the script.
func (s *Script) Digest() string { return s.digest }
