// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// entry is a stored answer. It does not change, but for what it remembers.
type entry struct {
	status int
	// fields are the header, without Age, and with Date and, where there may be one,
	// Content-Length.
	fields []field
	body   []byte
	// control is the Cache-Control for an answer that has none; nil adds nothing.
	control []string
	// maxAge is for how many seconds it was fresh when it came, as text.
	maxAge []string
	// vary are the names of the request headers that chose this answer, and variant
	// their values.
	vary    []string
	variant string

	// received is when the answer came, and age how old it was then.
	received time.Time
	age      time.Duration
	// lifetime is how old it may be; keepFresh how long after received, by the rule.
	lifetime, keepFresh time.Duration
	// whileRevalidate and ifError are how long after its lifetime it may be used for
	// want of a newer one.
	whileRevalidate, ifError time.Duration
	// validated: no use without asking the backend. strict: none once it is stale.
	// patient: not stale for a client that would take it.
	validated, strict, patient bool
	// shared says that it is for those too who have told who they are.
	shared bool
	// etag and lastModified are its validators, or empty.
	etag, lastModified string

	// stamp is the header of the second in which it was served last.
	stamp atomic.Pointer[stamp]
}

type field struct {
	name   string
	values []string
}

// stamp is what tells of the cache in an answer.
type stamp struct {
	second      int64
	age, status []string
}

func (e *entry) get(name string) string {
	for i := range e.fields {
		if e.fields[i].name == name && len(e.fields[i].values) > 0 {
			return e.fields[i].values[0]
		}
	}
	return ""
}

// header is a copy of the fields.
func (e *entry) header() http.Header {
	h := make(http.Header, len(e.fields))
	for _, f := range e.fields {
		h[f.name] = f.values
	}
	return h
}

// perField is what a field costs beside its text.
const perField = 64

// perEntry is what an entry costs beside its texts.
const perEntry = 512

// size is how much memory the entry takes. M25
func (e *entry) size() int64 {
	n := perEntry + len(e.body) + len(e.variant) + len(e.etag) + len(e.lastModified)
	for _, f := range e.fields {
		n += perField + len(f.name)
		for _, value := range f.values {
			n += 16 + len(value)
		}
	}
	for _, name := range e.vary {
		n += 16 + len(name)
	}
	return int64(n)
}

// currentAge is the age of the answer (RFC 9111, 4.2.3).
func (e *entry) currentAge(now time.Time) time.Duration { return e.age + max(0, now.Sub(e.received)) }

// freshFor is how long it will be fresh; negative once it is stale.
func (e *entry) freshFor(now time.Time) time.Duration {
	return min(e.lifetime-e.currentAge(now), e.keepFresh-max(0, now.Sub(e.received)))
}

// keepFor is for how long it may be of use, from when it was received.
func (e *entry) keepFor(c *rule) time.Duration {
	fresh := max(0, min(e.lifetime-e.age, e.keepFresh))
	after := time.Duration(0)
	if !e.strict {
		after = max(e.whileRevalidate, e.ifError)
		if e.patient {
			after = max(after, c.maxStale)
		}
	}
	if e.etag != "" || e.lastModified != "" {
		after = max(after, c.maxTTL)
	}
	return fresh + after
}

// expired says that the entry is of no use any more.
func (e *entry) expired(now time.Time, c *rule) bool { return now.Sub(e.received) > e.keepFor(c) }

// matches says whether the entry answers a request with the header.
func (e *entry) matches(h http.Header) bool {
	return len(e.vary) == 0 || variantOf(h, e.vary) == e.variant
}

// varyOf gives the names of a Vary, sorted. all says that no other request gets the
// same answer.
func varyOf(lines []string) (names []string, all bool) {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			switch name = strings.Trim(name, " \t"); name {
			case "":
			case "*":
				return nil, true
			default:
				names = append(names, http.CanonicalHeaderKey(name))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), false
}

// variantOf gives the values of the named headers, so that equal texts are equal
// headers: lines are joined, and blanks around members do not count.
func variantOf(h http.Header, names []string) string {
	if len(names) == 0 {
		return ""
	}
	var b strings.Builder
	for _, name := range names {
		lines, there := h[name]
		if !there {
			b.WriteString("-\n")
			continue
		}
		b.WriteByte('+')
		first := true
		for _, line := range lines {
			for member := range strings.SplitSeq(line, ",") {
				if !first {
					b.WriteByte(',')
				}
				first = false
				b.WriteString(strings.Trim(member, " \t"))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// notModified says whether the client has what the entry holds (RFC 9110, 13.2.2).
func (e *entry) notModified(h http.Header) bool {
	if e.status != http.StatusOK {
		return false
	}
	if tags := h["If-None-Match"]; len(tags) > 0 {
		return matchesTag(tags, e.etag)
	}
	since := h.Get("If-Modified-Since")
	if since == "" {
		return false
	}
	asked, err := http.ParseTime(since)
	if err != nil {
		return false
	}
	changed := e.lastModified
	if changed == "" {
		changed = e.get("Date")
	}
	at, err := http.ParseTime(changed)
	return err == nil && !at.After(asked)
}

// matchesTag compares weakly (RFC 9110, 8.8.3.2).
func matchesTag(lines []string, tag string) bool {
	opaque := strings.TrimPrefix(tag, "W/")
	for _, line := range lines {
		for line = strings.TrimLeft(line, " \t,"); line != ""; line = strings.TrimLeft(line, " \t,") {
			if line[0] == '*' {
				return true
			}
			var candidate string
			candidate, line = nextTag(line)
			if tag != "" && candidate == opaque {
				return true
			}
		}
	}
	return false
}

// nextTag cuts an entity tag off, without its W/. What is none is cut at its comma.
func nextTag(line string) (tag, rest string) {
	line = strings.TrimPrefix(line, "W/")
	if strings.HasPrefix(line, `"`) {
		if end := strings.IndexByte(line[1:], '"'); end >= 0 {
			return line[:end+2], line[end+2:]
		}
	}
	tag, rest = cutAt(line, strings.IndexByte(line, ','))
	return strings.TrimRight(tag, " \t"), rest
}

// statusName names the cache in Cache-Status.
const statusName = "goma"

// stampOf gives the header of the second.
func (e *entry) stampOf(now time.Time) *stamp {
	age := int64(e.currentAge(now) / time.Second)
	if s := e.stamp.Load(); s != nil && s.second == age {
		return s
	}
	ttl := int64(e.freshFor(now) / time.Second)
	s := &stamp{second: age, age: []string{strconv.FormatInt(age, 10)}, status: []string{statusName + "; hit; ttl=" + strconv.FormatInt(ttl, 10)}}
	e.stamp.Store(s)
	return s
}
