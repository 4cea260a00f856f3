// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// change serves a request that may change what the cache knows. When it has been
// done, the cache forgets it before the client learns of it (RFC 9111, 4.4).
func (h *handler) change(w http.ResponseWriter, r *http.Request) {
	c := &changer{ResponseWriter: w, h: h, r: r}
	h.next.ServeHTTP(c, r)
	c.head()
}

// changer is the writer of a request that changes something.
type changer struct {
	http.ResponseWriter

	h    *handler
	r    *http.Request
	done bool
}

// Unwrap lets http.ResponseController reach the writer below.
func (c *changer) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (c *changer) WriteHeader(status int) {
	if !c.done && status >= 200 {
		c.done = true
		if status < 400 {
			c.h.invalidate(c.r, c.Header())
		}
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *changer) head() {
	if !c.done {
		c.WriteHeader(http.StatusOK)
	}
}

// Write implements io.Writer.
func (c *changer) Write(p []byte) (int, error) {
	c.head()
	return c.ResponseWriter.Write(p)
}

// ReadFrom lets the writer below take a body as it can best.
func (c *changer) ReadFrom(src io.Reader) (int64, error) {
	c.head()
	return io.Copy(c.ResponseWriter, src)
}

// Flush implements http.Flusher.
func (c *changer) Flush() { _ = c.FlushError() }

// FlushError is Flush for http.ResponseController.
func (c *changer) FlushError() error {
	c.head()
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (c *changer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c.done = true
	return http.NewResponseController(c.ResponseWriter).Hijack()
}

// invalidate forgets the answers of the URL of a request, and of those in Location
// and Content-Location that are at the same place.
func (h *handler) invalidate(r *http.Request, answer http.Header) {
	h.counts.invalidated.Add()
	x := exchange.Of(r)
	k := h.keyOf(r, x)
	h.forget(k)
	for _, name := range []string{"Location", "Content-Location"} {
		if to, ok := h.beside(k, r.URL, answer.Get(name)); ok {
			h.forget(to)
		}
	}
}

// forget forgets a key in either scheme, and what is on its way to be stored.
func (h *handler) forget(k key) {
	for _, scheme := range []string{"http", "https"} {
		k.scheme = scheme
		h.flights.overtake(k)
		h.cache.forget(&question{key: k})
		if k.shape != "" {
			h.cache.forget(&question{key: k.plain()})
		}
	}
}

// beside is the key of a reference in an answer, if it is of the same host.
func (h *handler) beside(k key, base *url.URL, reference string) (key, bool) {
	if reference == "" {
		return key{}, false
	}
	to, err := url.Parse(reference)
	if err != nil {
		return key{}, false
	}
	if to.Host != "" && !strings.EqualFold(to.Host, k.host) || to.Scheme != "" && to.Scheme != "http" && to.Scheme != "https" {
		return key{}, false
	}
	from := url.URL{Path: base.Path, RawPath: base.RawPath}
	full := from.ResolveReference(to)
	k.path, k.query = full.EscapedPath(), h.query.of(full.RawQuery)
	if k.path == "" {
		k.path = "/"
	}
	return k, true
}

func clone(u *url.URL) *url.URL {
	own := *u
	return &own
}
