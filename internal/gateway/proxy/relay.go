// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

const bufferBytes = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferBytes]byte) }}

// relay passes a response on.
func relay(w http.ResponseWriter, resp *http.Response) {
	defer resp.Body.Close() //nolint:errcheck // what matters is whether reading ended well
	copyHeader(w.Header(), resp.Header)
	announced := announce(w.Header(), resp.Trailer)
	w.WriteHeader(resp.StatusCode)
	if err := stream(w, resp); err != nil {
		// Nothing but an abort tells the client that this is not all.
		panic(http.ErrAbortHandler)
	}
	trailers(w.Header(), resp.Trailer, announced)
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
func announce(h, trailer http.Header) (announced bool) {
	var names []string
	for name := range trailer {
		if trailerPasses(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return false
	}
	h["Trailer"] = []string{strings.Join(names, ", ")}
	return true
}

// trailers sends those that came, announced or not.
func trailers(h, trailer http.Header, announced bool) {
	for name, values := range trailer {
		if !trailerPasses(name) {
			continue
		}
		if !announced {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}

// stream copies the body. What arrives in pieces leaves in pieces: whenever the
// backend pauses, what there is goes out.
func stream(w http.ResponseWriter, resp *http.Response) error {
	buffer := buffers.Get().(*[bufferBytes]byte)
	defer buffers.Put(buffer)
	flush := http.NewResponseController(w)
	left := resp.ContentLength
	if left < 0 && resp.Body != http.NoBody {
		// A stream may stay silent for long after its head.
		if err := flush.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
	}
	for {
		n, err := resp.Body.Read(buffer[:])
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			left -= int64(n)
			if n < bufferBytes && left != 0 && err == nil {
				if err := flush.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
					return err
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
