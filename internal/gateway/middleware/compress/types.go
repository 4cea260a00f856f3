// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"fmt"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// types is a set of media types. A subtype may be an asterisk, or end in +suffix
// after one.
type types struct {
	exact map[string]bool
	// whole are the kinds all of which belong to the set; suffixed the kinds and
	// suffixes, such as application/+json.
	whole, suffixed map[string]bool
}

func typesOf(field string, names []string, invalid func(field, format string, args ...any)) types {
	t := types{exact: map[string]bool{}, whole: map[string]bool{}, suffixed: map[string]bool{}}
	for i, written := range names {
		name := strings.ToLower(strings.TrimSpace(written))
		kind, form, ok := strings.Cut(name, "/")
		switch {
		case !ok || !httpguts.ValidHeaderFieldName(kind) || !httpguts.ValidHeaderFieldName(form):
			invalid(fmt.Sprintf("%s[%d]", field, i), "%q is not a media type; write it like text/* or application/json, without parameters", written)
		case form == "*":
			t.whole[kind] = true
		case strings.HasPrefix(form, "*+"):
			t.suffixed[kind+"/"+form[1:]] = true
		default:
			t.exact[name] = true
		}
	}
	return t
}

// has tells whether the value of a Content-Type is in the set.
func (t types) has(contentType string) bool {
	name, _, _ := strings.Cut(contentType, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	kind, form, _ := strings.Cut(name, "/")
	if t.exact[name] || t.whole[kind] {
		return true
	}
	if plus := strings.LastIndexByte(form, '+'); plus >= 0 && len(t.suffixed) > 0 {
		return t.suffixed[kind+"/"+form[plus:]]
	}
	return false
}
