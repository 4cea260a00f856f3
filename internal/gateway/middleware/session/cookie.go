// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Cookie is where a text is kept in the browser.
type Cookie struct {
	// Name is the name without a prefix.
	Name string
	// Path and Domain are those of the cookie; Domain may be empty.
	Path, Domain string
	// Secure cookies are sent over https only.
	Secure bool
}

// Browsers take 4096 bytes of name, value and attributes. Six of them are still
// less than servers take for a head.
const (
	pieceBytes = 3600
	mostPieces = 6
)

// ErrTooLong is the error of a text that the browser would not keep.
var ErrTooLong = errors.New("the session is too long for cookies")

// FullName is the name with the prefix that makes browsers keep to what it says:
// __Host- can be set by this host alone, __Secure- over https alone.
func (c Cookie) FullName() string {
	switch {
	case c.Secure && c.Domain == "" && c.Path == "/":
		return "__Host-" + c.Name
	case c.Secure:
		return "__Secure-" + c.Name
	}
	return c.Name
}

// Set gives the lines that keep the text for so long, and expire pieces of a longer
// one that the request came with.
func (c Cookie) Set(request http.Header, text string, lasts time.Duration) ([]string, error) {
	pieces := cut(text)
	if len(pieces) > mostPieces {
		return nil, ErrTooLong
	}
	name := c.FullName()
	fresh := map[string]bool{}
	var lines []string
	for i, piece := range pieces {
		key := name
		if i > 0 {
			key += "." + strconv.Itoa(i)
		}
		fresh[key] = true
		lines = append(lines, c.line(key, piece, max(1, int(lasts.Seconds()))))
	}
	return append(lines, c.expire(request, fresh)...), nil
}

// Clear gives the lines that make the browser forget what the request came with.
func (c Cookie) Clear(request http.Header) []string { return c.expire(request, nil) }

// ClearAll is Clear for every cookie whose name begins like this one.
func (c Cookie) ClearAll(request http.Header) (lines []string) {
	seen := map[string]bool{}
	each(request, func(key, _ string) {
		if strings.HasPrefix(key, c.FullName()) && !seen[key] {
			seen[key] = true
			lines = append(lines, c.line(key, "", -1))
		}
	})
	return lines
}

// Count counts the cookies whose names begin like this one.
func (c Cookie) Count(request http.Header) (n int) {
	each(request, func(key, _ string) {
		if strings.HasPrefix(key, c.FullName()) {
			n++
		}
	})
	return n
}

func (c Cookie) expire(request http.Header, except map[string]bool) (lines []string) {
	seen := map[string]bool{}
	each(request, func(key, _ string) {
		if c.owns(key) && !except[key] && !seen[key] {
			seen[key] = true
			lines = append(lines, c.line(key, "", -1))
		}
	})
	return lines
}

func cut(text string) (pieces []string) {
	for len(text) > pieceBytes {
		pieces, text = append(pieces, text[:pieceBytes]), text[pieceBytes:]
	}
	return append(pieces, text)
}

func (c Cookie) line(name, value string, seconds int) string {
	return (&http.Cookie{
		Name: name, Value: value, Path: c.Path, Domain: c.Domain, MaxAge: seconds,
		Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}).String()
}

// Get gives the text that the request came with, or nothing. Of two cookies with
// one name the first counts: browsers send the one with the longer path first.
func (c Cookie) Get(request http.Header) string {
	name := c.FullName()
	var pieces [mostPieces]string
	each(request, func(key, value string) {
		if i, ok := piece(name, key); ok && i < mostPieces && pieces[i] == "" {
			pieces[i] = value
		}
	})
	end := 0
	for end < mostPieces && pieces[end] != "" {
		end++
	}
	if end == 1 {
		return pieces[0]
	}
	return strings.Join(pieces[:end], "")
}

// owns tells the cookies of this one: itself and its pieces.
func (c Cookie) owns(key string) bool {
	_, ok := piece(c.FullName(), key)
	return ok
}

func piece(name, key string) (int, bool) {
	rest, ok := strings.CutPrefix(key, name)
	if !ok || rest == "" {
		return 0, ok
	}
	i, err := strconv.Atoi(strings.TrimPrefix(rest, "."))
	return i, err == nil && rest[0] == '.' && i > 0 && i < 100
}

// Strip takes cookies out of a request: those of which mine is true. M11
func Strip(request http.Header, mine func(name string) bool) {
	found := false
	each(request, func(name, _ string) { found = found || mine(name) })
	if !found {
		return
	}
	var kept []string
	for _, line := range request["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(part, "=")
			if part = strings.TrimSpace(part); part != "" && !mine(strings.TrimSpace(name)) {
				kept = append(kept, part)
			}
		}
	}
	if len(kept) == 0 {
		delete(request, "Cookie")
		return
	}
	request["Cookie"] = []string{strings.Join(kept, "; ")}
}

func each(request http.Header, visit func(name, value string)) {
	for _, line := range request["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(part, "=")
			visit(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
}
