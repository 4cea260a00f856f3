// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// answered is the head of an answer of the backend, with what it answers.
type answered struct {
	status int
	header http.Header
	// asked are the headers of the request; personal says that it is somebody's.
	asked    http.Header
	personal bool
	// sent and received are when.
	sent, received time.Time
}

// entry gives the answer as it would be stored, without its body, or nil if it must
// not be (RFC 9111, 3).
func (c *rule) entry(a *answered) *entry {
	said := parseDirectives(a.header["Cache-Control"])
	if !c.mayKeep(a, said) {
		return nil
	}
	vary, all := varyOf(a.header["Vary"])
	if all {
		return nil
	}
	vary = withImplied(vary, a.header)
	e := &entry{
		status: a.status, vary: vary, variant: strings.Clone(variantOf(a.asked, vary)), received: a.received,
		keepFresh: c.maxTTL, etag: a.header.Get("Etag"), lastModified: a.header.Get("Last-Modified"),
		shared: said.has(public) || said.sMaxAge != unset,
	}
	e.validated = said.has(noCache) || !said.some && hasMember(a.header["Pragma"], "no-cache") && len(a.header["Expires"]) == 0
	e.strict = said.has(mustRevalidate|proxyRevalidate) || e.validated
	e.patient = !e.strict && said.sMaxAge == unset
	e.age = ageOf(a)
	var told bool
	if e.lifetime, told = lifetimeOf(a, said); !told {
		e.lifetime = c.unsaidLifetime(a, said)
		if e.lifetime <= 0 && !e.validated {
			return nil // it says nothing, and neither does the rule
		}
	}
	e.whileRevalidate = seconds(max(0, said.staleWhileRevalidate))
	e.ifError = seconds(max(0, said.staleIfErrored))
	e.fields = fieldsOf(a)
	if !told && !said.some && !c.silent && e.lifetime > 0 {
		e.control = []string{"public, max-age=" + strconv.FormatInt(int64(e.lifetime/time.Second), 10)}
	}
	e.maxAge = []string{strconv.FormatInt(int64(min(e.lifetime, e.keepFresh)/time.Second), 10)}
	if e.keepFor(c) <= 0 {
		return nil
	}
	return e
}

// mayKeep holds the prohibitions.
func (c *rule) mayKeep(a *answered, said directives) bool {
	understood := http.StatusText(a.status) != ""
	switch {
	case !c.kept.has(a.status), said.has(mustUnderstand) && !understood:
		return false
	case said.has(private):
		return false
	case said.has(noStore) && !said.has(mustUnderstand): // RFC 9111, 5.2.2.3
		return false
	case a.personal && !said.has(public) && said.sMaxAge == unset: // M24
		return false
	case len(a.header["Set-Cookie"]) > 0 && !said.has(public) && said.sMaxAge == unset: // M24
		return false
	case len(a.header["Trailer"]) > 0, len(a.header["Content-Range"]) > 0:
		return false
	}
	return true
}

// withImplied adds what decides an answer although it does not say so.
func withImplied(vary []string, h http.Header) []string {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		vary = append(vary, "Accept-Encoding")
	}
	if allowed := h.Get("Access-Control-Allow-Origin"); allowed != "" && allowed != "*" {
		vary = append(vary, "Origin")
	}
	slices.Sort(vary)
	return slices.Compact(vary)
}

// lifetimeOf is how long the answer says it is fresh (RFC 9111, 4.2.1). told is
// whether it says so at all.
func lifetimeOf(a *answered, said directives) (lifetime time.Duration, told bool) {
	switch {
	case said.sMaxAge != unset:
		return seconds(said.sMaxAge), true
	case said.maxAge != unset:
		return seconds(said.maxAge), true
	}
	expires := a.header["Expires"]
	if len(expires) == 0 {
		return 0, false
	}
	until, err := http.ParseTime(expires[0])
	if err != nil {
		return 0, true // what is no date is over
	}
	date := a.received
	if told, err := http.ParseTime(a.header.Get("Date")); err == nil {
		date = told
	}
	return max(0, until.Sub(date)), true
}

// unsaidLifetime is that of an answer that says nothing, by the rule (RFC 9111, 4.2.2).
func (c *rule) unsaidLifetime(a *answered, said directives) time.Duration {
	if !said.has(public) && !heuristic(a.status) || said.has(noCache) {
		return 0
	}
	return c.defaultTTL
}

// heuristic are the statuses of RFC 9110, 15.1, which can be kept without a word.
func heuristic(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// ageOf is how old the answer was when it came (RFC 9111, 4.2.3).
func ageOf(a *answered) time.Duration {
	apparent := time.Duration(0)
	if date, err := http.ParseTime(a.header.Get("Date")); err == nil {
		apparent = max(0, a.received.Sub(date))
		if apparent < 2*time.Second {
			apparent = 0 // Date has whole seconds, and clocks differ
		}
	}
	told := time.Duration(0)
	if lines := a.header["Age"]; len(lines) > 0 {
		n, ok := deltaSeconds(strings.Trim(lines[0], " \t"))
		if !ok || len(lines) > 1 {
			return seconds(math.MaxInt32) // who knows how old it is
		}
		told = seconds(n)
	}
	if told > 0 {
		told += max(0, a.received.Sub(a.sent))
	}
	return min(max(apparent, told), seconds(math.MaxInt32))
}

// notKept are headers of an answer that are not stored: of one hop, of one message,
// or for one client.
func notKept(name string) bool {
	switch name {
	case "Age", "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Set-Cookie",
		"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Content-Length", "X-Cache-Status", "X-Goma-Cache",
		"X-Goma-Cache-Max-Age", "X-Goma-Request-Id", "X-Request-Id":
		return true
	}
	return strings.HasPrefix(name, http.TrailerPrefix)
}

// fieldsOf are the header to store.
func fieldsOf(a *answered) []field {
	list := make([]field, 0, len(a.header)+2)
	for name, values := range a.header {
		if !notKept(name) {
			list = append(list, field{strings.Clone(name), cloned(values)})
		}
	}
	if len(a.header["Date"]) == 0 {
		list = append(list, field{"Date", []string{a.received.UTC().Format(http.TimeFormat)}})
	}
	slices.SortFunc(list, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return list
}

// cloned copies values: they may be parts of a larger text. nil stays nil, which is
// a header that must not be guessed.
func cloned(values []string) []string {
	if values == nil {
		return nil
	}
	out := make([]string, len(values))
	for i, value := range values {
		out[i] = strings.Clone(value)
	}
	return out
}

// complete gives the entry its body.
func (e *entry) complete(body []byte) {
	e.body = body
	if e.status == http.StatusNoContent || e.status == http.StatusResetContent {
		return
	}
	e.fields = append(e.fields, field{"Content-Length", []string{strconv.Itoa(len(body))}})
}

// notUpdated are headers of a 304 that say nothing new of what is stored, or would
// be wrong of it.
func notUpdated(name string) bool {
	switch name {
	case "Content-Encoding", "Content-Range", "Content-Md5", "Content-Digest", "Etag", "Vary":
		return true
	}
	return false
}

// refreshed is the entry after the backend has said that it is still good (RFC 9111,
// 3.2 and 4.3.4), or nil if it must not be kept any longer.
func (c *rule) refreshed(old *entry, a *answered) *entry {
	h := old.header()
	for name, values := range a.header {
		if len(values) > 0 && !notKept(name) && !notUpdated(name) || name == "Age" {
			h[name] = values
		}
	}
	if _, dated := a.header["Date"]; !dated {
		h["Date"] = []string{a.received.UTC().Format(http.TimeFormat)}
	}
	if len(a.header["Set-Cookie"]) > 0 {
		h["Set-Cookie"] = a.header["Set-Cookie"]
	}
	now := *a
	now.status, now.header = old.status, h
	e := c.entry(&now)
	if e != nil {
		e.complete(old.body)
	}
	return e
}
