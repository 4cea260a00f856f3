// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

const bufferBytes = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferBytes]byte) }}

// relay passes a response on. One that breaks off, on either side, ends in an
// abort, since nothing else tells the client that this is not all. H11
func (h *handler) relay(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, e *upstream.Endpoint, resp *http.Response) {
	defer resp.Body.Close() //nolint:errcheck // what matters is whether reading ended well
	header := w.Header()
	copyHeader(header, resp.Header)
	if _, typed := header["Content-Type"]; !typed {
		header["Content-Type"] = nil // or the server would guess one
	}
	h.stick(header, r, x, e)
	announced := announce(header, resp.Trailer)
	w.WriteHeader(resp.StatusCode)
	err := stream(w, resp.Body, resp.ContentLength)
	note(e, resp.StatusCode, err, gone(r))
	if err != nil {
		x.Reason = reasonAborted
		if _, theirs := errors.AsType[*errWrite](err); theirs || gone(r) {
			x.Reason = reasonClientGone
		}
		panic(http.ErrAbortHandler)
	}
	trailers(header, resp.Trailer, announced)
}

// stick sets the cookie of a sticky route.
func (h *handler) stick(header http.Header, r *http.Request, x *exchange.Exchange, e *upstream.Endpoint) {
	if cookie := h.cluster.Cookie(upstream.Of(r), e, x.Scheme == "https"); cookie != "" {
		header["Set-Cookie"] = append(header["Set-Cookie"], cookie)
	}
}

// copyHeader sets what does not end at this hop.
func copyHeader(to, from http.Header) {
	listed := connectionOptions(from)
	for name, values := range from {
		if !endsHere(name, listed) {
			to[name] = values
		}
	}
}

// announce names the trailers that are known to follow.
func announce(h, trailer http.Header) (names []string) {
	for name := range trailer {
		if trailerPasses(name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		h["Trailer"] = []string{strings.Join(names, ", ")}
	}
	return names
}

// trailers sends those that came, announced or not.
func trailers(h, trailer http.Header, announced []string) {
	for name, values := range trailer {
		if !trailerPasses(name) {
			continue
		}
		if !slices.Contains(announced, name) {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}

// errWrite is a client that does not take what it asked for.
type errWrite struct{ err error }

func (e *errWrite) Error() string { return "writing the response: " + e.err.Error() }
func (e *errWrite) Unwrap() error { return e.err }

// stream copies a body, whose length is negative when nobody knows it. What arrives in pieces leaves in pieces: whenever the
// backend pauses, what there is goes out. H8
func stream(w http.ResponseWriter, body io.Reader, left int64) error {
	buffer := buffers.Get().(*[bufferBytes]byte) //nolint:forcetypeassert // there is nothing else in it
	defer buffers.Put(buffer)
	control := http.NewResponseController(w)
	more, knows := body.(interface{ Ready() bool })
	if left < 0 && body != http.NoBody && (!knows || !more.Ready()) {
		// A stream may stay silent for long after its head.
		if err := flush(control); err != nil {
			return err
		}
	}
	for {
		n, err := body.Read(buffer[:])
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return &errWrite{err}
			}
			left -= int64(n)
		}
		if err == io.EOF {
			return nil
		}
		pauses := n < bufferBytes
		if knows {
			pauses = !more.Ready()
		}
		if n > 0 && pauses && left != 0 {
			if err := flush(control); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

func flush(control *http.ResponseController) error {
	if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return &errWrite{err}
	}
	return nil
}
