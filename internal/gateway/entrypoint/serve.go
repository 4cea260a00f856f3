// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// ServeHTTP brings a request into its one form and hands it on. A request that
// has none goes no further than the log.
func (e *EntryPoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	e.running.begin(conn)
	defer e.running.end(conn)
	s := e.settings.Load()
	x := &exchange.Exchange{Start: time.Now()}
	s.identify(x, r)
	r = r.WithContext(exchange.With(r.Context(), x))
	if e.retired.Load() && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	if refused := normalise(x, r); refused != nil {
		e.wrap(refused).ServeHTTP(w, r)
		return
	}
	guarded, body := s.guard(w, r)
	r.Body = body
	e.handler.ServeHTTP(guarded, r)
}

// refusal is why a request is not served.
type refusal struct {
	status          int
	reason, message string
}

// ServeHTTP answers. The connection is closed: the rest of what the client sent is
// not understood either.
func (n *refusal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	exchange.Of(r).Reason = n.reason
	w.Header().Set("Connection", "close")
	if n.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	reply.Error(w, r, n.status, n.message)
}

// normalise sets host and path.
func normalise(x *exchange.Exchange, r *http.Request) *refusal {
	if r.Method == http.MethodConnect {
		return &refusal{http.StatusMethodNotAllowed, "connect", "405 CONNECT method not allowed"}
	}
	if r.Host != "" {
		host, err := normal.Host(r.Host)
		if err != nil {
			return &refusal{http.StatusBadRequest, "bad_host", "400 bad request: invalid host"}
		}
		x.Host = host
	}
	path, err := normal.Path(rawPath(r.RequestURI))
	if err != nil {
		return &refusal{http.StatusBadRequest, "bad_path", "400 bad request: invalid path"}
	}
	x.Path = path
	r.URL.Path, r.URL.RawPath = normal.Decode(path), path
	return nil
}

// rawPath gives the path of a request target as it was sent, without its query.
func rawPath(target string) string {
	if i := strings.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	if strings.HasPrefix(target, "/") {
		return target
	}
	if _, rest, ok := strings.Cut(target, "://"); ok {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			return rest[i:]
		}
		return "/"
	}
	return target
}

// identify decides who the client is.
func (s *settings) identify(x *exchange.Exchange, r *http.Request) {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		x.PeerIP = at.Addr().Unmap().WithZone("")
	}
	x.Scheme = "http"
	if r.TLS != nil {
		x.Scheme = "https"
	}
	x.ClientIP, x.PeerTrusted = x.PeerIP, s.trust.has(x.PeerIP)
	if x.PeerTrusted {
		x.ClientIP = s.trust.client(x.PeerIP, r.Header)
		x.Scheme = s.trust.scheme(x.Scheme, r.Header)
	}
	x.ClientRequestID = validID(r.Header["X-Request-Id"])
	if x.RequestID = x.ClientRequestID; x.RequestID == "" {
		x.RequestID = newID()
	}
}

const maxIDBytes = 128

// validID takes one id of letters, digits and a few signs. B5
func validID(values []string) string {
	if len(values) != 1 || values[0] == "" || len(values[0]) > maxIDBytes {
		return ""
	}
	for _, c := range []byte(values[0]) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case strings.IndexByte("-_.:/+=@", c) >= 0:
		default:
			return ""
		}
	}
	return values[0]
}

func newID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}
