// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"gateway.jkaninda.dev/goma/internal/gateway/http1"
)

// requestBody passes the client's body on and remembers how it ended, to tell
// the client's faults from those of the backend.
type requestBody struct {
	src io.ReadCloser

	from, to http.Header // trailers

	mu  sync.Mutex
	err error
}

// errBody is a body that the client did not send as it should.
type errBody struct{ err error }

func (e *errBody) Error() string { return "reading the request body: " + e.err.Error() }
func (e *errBody) Unwrap() error { return e.err }

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	switch {
	case err == io.EOF:
		b.trailers()
	case err != nil:
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

// Close implements io.Closer.
func (b *requestBody) Close() error { return b.src.Close() }

// fault notes how reading ended, where it did not tell by itself.
func (b *requestBody) fault(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
}

// blame gives the error of the client's body when there is one, else that of the
// round trip, which may only be its echo.
func (b *requestBody) blame(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && !errors.Is(b.err, http.ErrBodyReadAfterClose) {
		return &errBody{b.err}
	}
	return err
}

// follow announces the trailers that may pass: no framing, no provenance.
func (b *requestBody) follow(r *http.Request) http.Header {
	for name := range r.Trailer {
		if trailerPasses(name) {
			if b.to == nil {
				b.from, b.to = r.Trailer, http.Header{}
			}
			b.to[name] = nil
		}
	}
	return b.to
}

// trailers are known when the body has been read.
func (b *requestBody) trailers() {
	for name := range b.to {
		b.to[name] = b.from[name]
	}
}

// trailerPasses tells what may stand in a trailer, of a request or of a response.
// What the gateway writes or strips in heads is not to come in behind them. P6, P8
func trailerPasses(name string) bool {
	return http1.Identify(name).InTrailer() && !strings.EqualFold(name, "Cookie") && !strings.EqualFold(name, hopsHeader)
}
