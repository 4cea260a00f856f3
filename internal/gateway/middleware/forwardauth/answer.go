// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package forwardauth

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
)

// answer is what the service said, as far as it matters.
type answer struct {
	status int
	header http.Header
}

var (
	errInformational = errors.New("an answer that is none")
	errControl       = errors.New("a header with a control character")
)

// ask gives the answer of the service, or why there is none that counts: no
// connection, no answer in time, one that is malformed or too long. M18
func ask(client *peer.Client, q *http.Request) (answer, error) {
	resp, err := client.Do(q)
	if err != nil {
		return answer{}, peer.Cause(err)
	}
	defer resp.Body.Close() //nolint:errcheck // what matters is whether reading ended well
	// The body is read to its end: only then is the answer whole, and the connection
	// free for the next one.
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return answer{}, peer.Cause(err)
	}
	if resp.StatusCode < 200 {
		return answer{}, errInformational
	}
	for _, values := range resp.Header {
		if slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			return answer{}, errControl // P9
		}
	}
	return answer{resp.StatusCode, resp.Header}, nil
}

func (a answer) passes() bool { return a.status >= 200 && a.status < 300 }

// cookies are those of the answer that the client gets. M19
func (a answer) cookies(listed *[]string) []string {
	lines := a.header["Set-Cookie"]
	if listed == nil || len(lines) == 0 {
		return lines
	}
	var out []string
	for _, line := range lines {
		if name, _, ok := strings.Cut(line, "="); ok && slices.Contains(*listed, strings.TrimSpace(name)) {
			out = append(out, line)
		}
	}
	return out
}

// identify tells the backend what the service said of the client. The client's own
// headers of these names are gone already. P8
func (a *rule) identify(h http.Header, said http.Header) {
	for _, m := range a.headers {
		if values := said[m.from]; len(values) > 0 {
			h[m.to] = values
		}
	}
}

// parameters puts headers of the answer into the query. Parameters of the client
// with these names are gone, whatever the service said.
func (a *rule) parameters(r *http.Request, said http.Header) *http.Request {
	if len(a.params) == 0 {
		return r
	}
	var pairs []string
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if pair != "" && !a.isParameter(pair) {
			pairs = append(pairs, pair)
		}
	}
	for _, m := range a.params {
		if value := said.Get(m.from); value != "" {
			pairs = append(pairs, url.QueryEscape(m.to)+"="+url.QueryEscape(value))
		}
	}
	out := r.WithContext(r.Context())
	u := *r.URL
	u.RawQuery, u.ForceQuery = strings.Join(pairs, "&"), false
	out.URL = &u
	return out
}

// isParameter compares decoded names. Some backends take a ; for a &, so that a
// pair with one is told by each of its parts. P4
func (a *rule) isParameter(pair string) bool {
	for part := range strings.SplitSeq(pair, ";") {
		name, _, _ := strings.Cut(part, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if slices.ContainsFunc(a.params, func(m mapping) bool { return m.to == name }) {
			return true
		}
	}
	return false
}
