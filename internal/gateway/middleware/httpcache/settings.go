// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// Settings are the rule of an httpCache middleware.
type Settings struct {
	// MaxTTL is for how many seconds an answer is served without asking the backend,
	// whatever the backend allows; 300 by default. Where the rule tells it, it is the
	// default of DefaultTTL too.
	MaxTTL *int `json:"maxTtl"`
	// DefaultTTL is for how many seconds an answer is fresh that does not say it
	// itself. Default: maxTtl where the rule tells that, else 0, which is not at all.
	DefaultTTL *int `json:"defaultTtl"`
	// MaxStale is by how many seconds an answer may be too old for a client that
	// asks for such ones by max-stale; 0 by default.
	MaxStale int `json:"maxStale"`
	// MemoryLimit bounds the memory for answers; 64Mi by default. 0 keeps none.
	MemoryLimit *definition.Text `json:"memoryLimit"`
	// MaxBodySize is the size of the largest body that is kept; 8Mi by default, and
	// never more than MemoryLimit.
	MaxBodySize *definition.Text `json:"maxBodySize"`
	// DisableCacheStatusHeader leaves X-Cache-Status, Cache-Status, and Cache-Control
	// as the cache would write it, out of answers.
	DisableCacheStatusHeader bool `json:"disableCacheStatusHeader"`
	// CacheableStatusCodes are the only statuses to keep. Default: 2xx and 3xx that
	// are not excluded.
	CacheableStatusCodes []int `json:"cacheableStatusCodes"`
	// ExcludedResponseCodes are statuses, and ranges such as 500-599, not to keep.
	ExcludedResponseCodes []definition.Text `json:"excludedResponseCodes"`
	// IncludeQueryInKey says whether the query tells answers apart. It does, unless
	// this is false.
	IncludeQueryInKey *bool `json:"includeQueryInKey"`
	// QueryParamsToCache are the only parameters that tell answers apart. Default: all.
	QueryParamsToCache []string `json:"queryParamsToCache"`
	// OnStoreFailure says what happens while the shared store does not answer:
	// local, the default, keeps answers in this gateway alone; allow asks the backend;
	// deny answers 503. Without a shared store it means nothing.
	OnStoreFailure string `json:"onStoreFailure"`
}

const (
	defaultMaxTTL      = 300
	defaultMemory      = 64 << 20
	defaultMaxBody     = 8 << 20
	longestSeconds     = 10 * 365 * 24 * 60 * 60
	smallestUsefulSize = 4 << 10
)

const (
	failLocal = "local"
	failAllow = "allow"
	failDeny  = "deny"
)

// excludedByDefault are statuses that are not kept unless the rule says so.
var excludedByDefault = []definition.Text{"301", "302", "307", "308", "400-405", "409", "410", "429", "500-504"}

// rule is a parsed rule.
type rule struct {
	maxTTL, defaultTTL, maxStale time.Duration
	memoryBytes, maxBody         int64
	silent                       bool
	kept                         statuses
	query                        querySelection
	onFailure                    string
	// identity stands for all of it.
	identity [sha256.Size]byte
}

// querySelection says what of a query tells answers apart.
type querySelection struct {
	none bool
	// only, if not empty, are the parameters that count.
	only []string
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	p := parser{problems: problems}
	c := p.rule(&s)
	if config.HasErrors(p.problems) {
		return nil, p.problems
	}
	identity, err := json.Marshal(s)
	if err != nil {
		return nil, append(p.problems, definition.Invalid("", "%v", err))
	}
	c.identity = sha256.Sum256(identity)
	return c, p.problems
}

type parser struct{ problems []config.Problem }

func (p *parser) invalid(field, format string, args ...any) {
	p.problems = append(p.problems, definition.Invalid(field, format, args...))
}

func (p *parser) rule(s *Settings) *rule {
	c := &rule{
		maxTTL:      p.seconds("maxTtl", s.MaxTTL, defaultMaxTTL),
		maxStale:    p.seconds("maxStale", &s.MaxStale, 0),
		memoryBytes: p.size("memoryLimit", s.MemoryLimit, defaultMemory),
		maxBody:     p.size("maxBodySize", s.MaxBodySize, defaultMaxBody),
		silent:      s.DisableCacheStatusHeader,
		onFailure:   strings.ToLower(s.OnStoreFailure),
	}
	c.maxBody = min(c.maxBody, c.memoryBytes)
	unsaid := 0
	if s.MaxTTL != nil {
		unsaid = *s.MaxTTL
	}
	c.defaultTTL = min(p.seconds("defaultTtl", s.DefaultTTL, unsaid), c.maxTTL)
	if c.memoryBytes > 0 && c.memoryBytes < smallestUsefulSize {
		p.problems = append(p.problems, config.Problem{
			Field: "rule.memoryLimit", Reason: config.ReasonInvalid, Severity: config.SeverityWarning,
			Message: "is less than most answers need, which are not kept then; use at least 4Ki",
		})
	}
	c.query = p.querySelection(s)
	c.kept = p.statuses(s)
	switch c.onFailure {
	case "":
		c.onFailure = failLocal
	case failLocal, failAllow, failDeny:
	default:
		p.invalid("onStoreFailure", "unknown value %q; use local, allow or deny", s.OnStoreFailure)
	}
	return c
}

func (p *parser) seconds(field string, n *int, unsaid int) time.Duration {
	if n == nil {
		n = &unsaid
	}
	if *n < 0 || *n > longestSeconds {
		p.invalid(field, "must be 0 to %d seconds", longestSeconds)
		return 0
	}
	return seconds(int64(*n))
}

func (p *parser) size(field string, text *definition.Text, unsaid int64) int64 {
	if text == nil || strings.TrimSpace(string(*text)) == "" { // M25: not told is not nothing
		return unsaid
	}
	n, err := definition.ParseSize(string(*text))
	if err != nil {
		p.invalid(field, "%v", err)
	}
	return n
}

func (p *parser) querySelection(s *Settings) querySelection {
	q := querySelection{none: s.IncludeQueryInKey != nil && !*s.IncludeQueryInKey, only: slices.Clone(s.QueryParamsToCache)}
	if i := slices.Index(q.only, ""); i >= 0 {
		p.invalid("queryParamsToCache["+strconv.Itoa(i)+"]", "is empty; name a parameter")
	}
	if q.none && len(q.only) > 0 {
		p.problems = append(p.problems, config.Problem{
			Field: "rule.queryParamsToCache", Reason: config.ReasonIgnored, Severity: config.SeverityWarning,
			Message: "has no effect, since includeQueryInKey is false",
		})
	}
	slices.Sort(q.only)
	return q
}

// statuses are those that may be kept.
type statuses struct{ kept [600]bool }

func (s *statuses) has(status int) bool {
	return status >= 200 && status < len(s.kept) && s.kept[status]
}

func (p *parser) statuses(s *Settings) (set statuses) {
	excluded := s.ExcludedResponseCodes
	if len(s.CacheableStatusCodes) == 0 {
		for status := 200; status < 400; status++ {
			set.kept[status] = true
		}
		if excluded == nil {
			excluded = excludedByDefault
		}
	}
	for i, status := range s.CacheableStatusCodes {
		if status < 200 || status > 599 {
			p.invalid("cacheableStatusCodes["+strconv.Itoa(i)+"]", "%d is no status of an answer; use 200 to 599", status)
			continue
		}
		set.kept[status] = true
	}
	for i, text := range excluded {
		first, last, ok := statusRange(string(text))
		if !ok {
			p.invalid("excludedResponseCodes["+strconv.Itoa(i)+"]", "%q is no status and no range of them; write it like 404 or 500-599", string(text))
			continue
		}
		for status := first; status <= last; status++ {
			set.kept[status] = false
		}
	}
	// A part of an answer is not the answer, and a 304 has none.
	set.kept[http.StatusPartialContent], set.kept[http.StatusNotModified] = false, false
	return set
}

// statusRange reads a status or two with a dash between.
func statusRange(text string) (first, last int, ok bool) {
	from, to, two := strings.Cut(text, "-")
	if !two {
		to = from
	}
	first, err := strconv.Atoi(strings.TrimSpace(from))
	if err != nil {
		return 0, 0, false
	}
	last, err = strconv.Atoi(strings.TrimSpace(to))
	return first, last, err == nil && first >= 100 && first <= last && last <= 599
}
