// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// flags are the directives of Cache-Control that have no number.
type flags uint16

const (
	noStore flags = 1 << iota
	noCache
	private
	public
	mustRevalidate
	proxyRevalidate
	mustUnderstand
	onlyIfCached
)

// unset is a number that a Cache-Control does not tell; anyNumber is a max-stale
// without one.
const (
	unset     = int64(-1)
	anyNumber = int64(math.MaxInt32)
)

// directives are what a Cache-Control says. Numbers are seconds.
type directives struct {
	flags

	maxAge, sMaxAge, minFresh, maxStale  int64
	staleWhileRevalidate, staleIfErrored int64
	// some says that there was a Cache-Control at all.
	some bool
}

func (f flags) has(any flags) bool { return f&any != 0 }

// parseDirectives reads the lines of a Cache-Control. What is not understood is
// left out; a number that is none is 0, so that nothing lives longer for a slip
// (RFC 9111, 4.2.1). Of two of a kind the first counts.
func parseDirectives(lines []string) directives {
	d := directives{maxAge: unset, sMaxAge: unset, minFresh: unset, maxStale: unset, staleWhileRevalidate: unset, staleIfErrored: unset}
	for _, line := range lines {
		for line != "" {
			d.some = true
			var name, value string
			name, value, line = nextDirective(line)
			d.set(name, value)
		}
	}
	return d
}

// nextDirective cuts the first directive off. A value in quotes loses them, and may
// hold commas.
func nextDirective(line string) (name, value, rest string) {
	end := strings.IndexAny(line, ",=\"")
	if end < 0 || line[end] == ',' {
		name, rest = cutAt(line, end)
		return strings.Trim(name, " \t"), "", rest
	}
	if line[end] == '"' { // a quote where none may be: nothing is certain up to its end
		_, rest = quoted(line[end:])
		return "", "", afterComma(rest)
	}
	name, line = line[:end], line[end+1:]
	if strings.HasPrefix(line, `"`) {
		value, rest = quoted(line)
		return strings.TrimLeft(name, " \t"), value, afterComma(rest)
	}
	value, rest = cutAt(line, strings.IndexByte(line, ','))
	return strings.TrimLeft(name, " \t"), strings.TrimRight(value, " \t"), rest
}

func cutAt(line string, comma int) (before, after string) {
	if comma < 0 {
		return line, ""
	}
	return line[:comma], line[comma+1:]
}

func afterComma(line string) string {
	_, after := cutAt(line, strings.IndexByte(line, ','))
	return after
}

// quoted reads a quoted string; without its end it is the whole line.
func quoted(line string) (value, rest string) {
	for i := 1; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return line[1:i], line[i+1:]
		}
	}
	return line[1:], ""
}

// longestName is that of any directive that is known.
const longestName = len("stale-while-revalidate")

func (d *directives) set(name, value string) {
	if len(name) > longestName {
		return
	}
	if lower := strings.ToLower(name); lower != name {
		name = lower
	}
	switch name {
	case "no-store":
		d.flags |= noStore
	case "no-cache": // with fields too: RFC 9111, 5.2.2.4 allows to take it for all
		d.flags |= noCache
	case "private":
		d.flags |= private
	case "public":
		d.flags |= public
	case "must-revalidate":
		d.flags |= mustRevalidate
	case "proxy-revalidate":
		d.flags |= proxyRevalidate
	case "must-understand":
		d.flags |= mustUnderstand
	case "only-if-cached":
		d.flags |= onlyIfCached
	default:
		d.number(name, value)
	}
}

func (d *directives) number(name, value string) {
	var to *int64
	switch name {
	case "max-age":
		to = &d.maxAge
	case "s-maxage":
		to = &d.sMaxAge
	case "min-fresh":
		to = &d.minFresh
	case "stale-while-revalidate":
		to = &d.staleWhileRevalidate
	case "stale-if-error":
		to = &d.staleIfErrored
	case "max-stale":
		if to = &d.maxStale; value == "" {
			*to = anyNumber
		}
	default:
		return
	}
	if *to == unset {
		*to, _ = deltaSeconds(value)
	}
}

// deltaSeconds reads a number of seconds. More than can be counted is the most that
// can (RFC 9111, 1.2.2).
func deltaSeconds(text string) (n int64, ok bool) {
	if text == "" {
		return 0, false
	}
	for i := range len(text) {
		digit := text[i] - '0'
		if digit > 9 {
			return 0, false
		}
		n = min(n*10+int64(digit), math.MaxInt32)
	}
	return n, true
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// askedOf are the directives of a request. Pragma counts where there is no
// Cache-Control (RFC 9111, 5.4).
func askedOf(h http.Header) directives {
	d := parseDirectives(h["Cache-Control"])
	if !d.some && hasMember(h["Pragma"], "no-cache") {
		d.flags |= noCache
	}
	return d
}

// hasMember says whether a list has a member, in any case.
func hasMember(lines []string, member string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), member) {
				return true
			}
		}
	}
	return false
}
