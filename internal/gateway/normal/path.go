// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package normal

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// The reasons to refuse a path.
var (
	ErrNotAbsolute = errors.New("the path does not begin with a slash")
	ErrEscape      = errors.New("the path has a malformed percent escape")
	ErrCharacter   = errors.New("the path has a character that must not be in a path")
	ErrEncoding    = errors.New("the path is not valid UTF-8")
	ErrHiddenDot   = errors.New("the path hides a dot segment")
	ErrAboveRoot   = errors.New("the path climbs above the root")
)

// Path gives the normal form of an escaped path, as it stood in the request
// target before the question mark. The empty path is "/". Applied to its own
// result it changes nothing. A path that is normal already costs no memory.
//
// It must be given the path as it came: a path that something has decoded before
// is another path.
func Path(escaped string) (string, error) {
	if escaped == "" {
		return "/", nil
	}
	if escaped[0] != '/' {
		return "", ErrNotAbsolute
	}
	if plain(escaped) {
		return escaped, nil
	}
	text, err := reescape(escaped)
	if err != nil {
		return "", err
	}
	if err := checkDecoded(text); err != nil {
		return "", err
	}
	return removeDots(text)
}

// plain tells that a path needs no work, which is nearly always so: only
// characters that stand for themselves, no doubled slash, and no segment that
// begins with a dot. A segment that is more than dots, like .well-known, takes
// the long way without harm.
func plain(path string) bool {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '/' {
			if i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
				return false
			}
			continue
		}
		if !segmentByte[c] {
			return false
		}
	}
	return true
}

// segmentByte holds the octets that stand unescaped in a segment: pchar of
// RFC 3986 section 3.3 without the percent sign.
var segmentByte = func() (set [256]bool) {
	for c := byte('a'); c <= 'z'; c++ {
		set[c], set[c-'a'+'A'] = true, true
	}
	for c := byte('0'); c <= '9'; c++ {
		set[c] = true
	}
	for _, c := range []byte("-._~!$&'()*+,;=:@") {
		set[c] = true
	}
	return set
}()

// reescape gives every octet its one spelling.
func reescape(path string) (string, error) {
	var b strings.Builder
	b.Grow(len(path) + 16)
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '/':
			b.WriteByte(c)
			continue
		case c == '%':
			var ok bool
			if c, ok = unescape(path[i:]); !ok {
				return "", ErrEscape
			}
			i += 2
		case refusedRaw(c):
			return "", ErrCharacter
		}
		if c < ' ' || c == 0x7f {
			return "", ErrCharacter
		}
		writeByte(&b, c)
	}
	return b.String(), nil
}

// refusedRaw tells which octets are refused where they stand unescaped: those
// that other parsers would end the path at, or take for a slash.
func refusedRaw(c byte) bool {
	switch c {
	case '?', '#', '\\', ' ':
		return true
	}
	return false
}

const digits = "0123456789ABCDEF"

func writeByte(b *strings.Builder, c byte) {
	if segmentByte[c] {
		b.WriteByte(c)
		return
	}
	b.WriteByte('%')
	b.WriteByte(digits[c>>4])
	b.WriteByte(digits[c&15])
}

// unescape reads the escape that s begins with.
func unescape(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	high, ok1 := digit(s[1])
	low, ok2 := digit(s[2])
	return high<<4 | low, ok1 && ok2
}

func digit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// checkDecoded refuses text that is not UTF-8 once decoded, overlong forms of
// dots and slashes among them.
func checkDecoded(path string) error {
	if strings.IndexByte(path, '%') < 0 {
		return nil
	}
	if !utf8.ValidString(Decode(path)) {
		return ErrEncoding
	}
	return nil
}

// Decode gives the decoded text of a path in normal form. An encoded slash
// becomes a slash, so the result is for people and for looking at, not for
// splitting into segments.
func Decode(path string) string {
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if d, ok := unescape(path[i:]); ok {
				c = d
				i += 2
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// removeDots resolves dot segments and doubled slashes.
func removeDots(path string) (string, error) {
	kept := make([]string, 0, 8)
	var last bool // the path ends in a slash
	for rest := path[1:]; ; {
		segment, more, found := strings.Cut(rest, "/")
		last = true
		switch segment {
		case "", ".":
		case "..":
			if len(kept) == 0 {
				return "", ErrAboveRoot
			}
			kept = kept[:len(kept)-1]
		default:
			if hidesDots(segment) {
				return "", ErrHiddenDot
			}
			kept = append(kept, segment)
			last = false
		}
		if !found {
			break
		}
		rest = more
	}
	out := "/" + strings.Join(kept, "/")
	if last && len(kept) > 0 {
		out += "/"
	}
	return out, nil
}

// hidesDots tells whether a backend that decodes once more than it should, or
// that cuts path parameters off, would find a dot segment in this one.
func hidesDots(segment string) bool {
	if strings.IndexByte(segment, '.') < 0 {
		return false
	}
	isSlash := func(r rune) bool { return r == '/' || r == '\\' }
	for piece := range strings.FieldsFuncSeq(Decode(segment), isSlash) {
		name, _, _ := strings.Cut(piece, ";")
		if name == "." || name == ".." {
			return true
		}
	}
	return false
}
