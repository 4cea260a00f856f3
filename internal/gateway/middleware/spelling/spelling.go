// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package spelling deletes headers in every spelling that a backend may take for
// them: X-User-Id, x-user-id and X_User_Id are one variable to a CGI or WSGI
// program. Whatever tells a backend who the client is goes through it, so that a
// client cannot send its own beside that of the gateway, or after the body.
package spelling

import (
	"net/http"
	"strings"
)

// Names is a set of header names. Make one with Of; it is not changed afterwards
// and safe for concurrent use.
type Names map[string]struct{}

// Of is the set of these names, in all their spellings.
func Of(names ...string) Names {
	set := make(Names, len(names))
	for _, name := range names {
		set[strings.ReplaceAll(strings.ToLower(name), "_", "-")] = struct{}{}
	}
	return set
}

// Delete removes the headers of the set from a request, and keeps them out of its
// trailer: a field that comes after the body is none of the request when it was not
// announced, so it is enough that it is announced no more. P8
func (n Names) Delete(r *http.Request) {
	n.from(r.Header)
	n.from(r.Trailer)
}

func (n Names) from(h http.Header) {
	for name := range h {
		if n.Has(name) {
			delete(h, name)
		}
	}
}

// usual is how long the names of headers are, with room to spare.
const usual = 64

// Has tells whether the name is a spelling of one of the set.
func (n Names) Has(name string) bool {
	if len(n) == 0 {
		return false
	}
	var space [usual]byte
	folded := space[:0]
	for i := range len(name) {
		folded = append(folded, fold(name[i]))
	}
	_, ok := n[string(folded)]
	return ok
}

func fold(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}
