// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"errors"
	"io"
	"sync"
)

// errLeft ends the reading of an attempt that is over.
var errLeft = errors.New("another attempt reads the body")

// replay gives the body of a request to each attempt from its beginning. It keeps
// what has passed, as long as that is not more than the limit. An attempt may read
// beside its answer, and even after it; each byte of the client is read once all the
// same. U3
type replay struct {
	src   io.ReadCloser
	limit int

	mu sync.Mutex

	kept []byte
	// end is how the client's body ended; nil before.
	end error
	// over says that more has passed than is kept.
	over    bool
	attempt int
}

// reader is the body of the attempt that begins.
func (b *replay) reader() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attempt++
	return &reader{replay: b, attempt: b.attempt}
}

// release takes the body from the attempt that is ending, if it can be read again
// and the last condition holds. While the attempt waits for the client, it cannot.
func (b *replay) release(last func() bool) bool {
	if b == nil {
		return last()
	}
	if !b.mu.TryLock() {
		return false
	}
	defer b.mu.Unlock()
	if b.over || b.end != nil && !errors.Is(b.end, io.EOF) || !last() {
		return false
	}
	b.attempt++
	return true
}

type reader struct {
	*replay

	attempt, at int
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	b := r.replay
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.attempt != b.attempt:
		return 0, errLeft
	case !b.over && r.at < len(b.kept):
		n := copy(p, b.kept[r.at:])
		r.at += n
		return n, nil
	case b.end != nil:
		return 0, b.end
	}
	n, err := b.src.Read(p)
	r.at += n
	b.end = err
	if b.over = b.over || len(b.kept)+n > b.limit; b.over {
		b.kept = nil
	} else {
		b.kept = append(b.kept, p[:n]...)
	}
	return n, err
}

// Close implements io.Closer. The body is closed by who made it.
func (r *reader) Close() error { return nil }
