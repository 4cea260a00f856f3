// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package waf refuses attacks by the OWASP Core Rule Set, run by Coraza. It looks at
// what the backend gets: the path in its normal form, the query, the headers, and
// the body, unpacked if it is packed. Rules give points, and a request that collects
// too many is refused; in detect mode it is only counted and logged.
//
// Bodies are looked into up to a limit; what happens to longer ones is for the rule
// to say. Bodies that are no text, such as images and gRPC, pass unread and as they
// stream. Answers are not looked at.
//
// The rule set takes some tens of MiB. It is loaded once for all routes whose
// settings are equal, and only while there is such a route.
package waf

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// Type is waf.
var Type = definition.Type{Names: []string{"waf"}, Security: true, Scoped: true, Parse: parse}

// Settings is the rule of a waf middleware.
type Settings struct {
	// Mode is block, the default, or detect, which refuses nothing.
	Mode string `json:"mode"`
	// ParanoiaLevel is how suspicious the rules are, 1 to 4; 1 by default. Higher
	// levels find more, and more that is none.
	ParanoiaLevel int `json:"paranoiaLevel"`
	// AnomalyThreshold is how many points are too many; 5 by default, which is one
	// critical rule.
	AnomalyThreshold int `json:"anomalyThreshold"`
	// BodyLimit is how many bytes of a body are looked into; 1Mi by default, at
	// most 64Mi. It counts after unpacking. Each request may take twice as much
	// memory.
	BodyLimit json.RawMessage `json:"bodyLimit"`
	// OnBodyLimit is reject, the default, which answers 413 to longer bodies, or
	// partial, which looks into their beginning only.
	OnBodyLimit string `json:"onBodyLimit"`
	// Exclusions are rules that do not count.
	Exclusions []Exclusion `json:"exclusions"`
}

// Exclusion takes rules out, everywhere or in a part of the application.
type Exclusion struct {
	// Rules are numbers of rules, or ranges such as 942000-942999.
	Rules []definition.Text `json:"rules"`
	// Tags take out all rules that have one of them, such as attack-sqli.
	Tags []string `json:"tags"`
	// Paths limit the exclusion to paths; all by default.
	Paths []string `json:"paths"`
	// Arguments limit the exclusion to parameters of the query and the body, by
	// name; all of the request by default.
	Arguments []string `json:"arguments"`
}

// The modes.
const (
	modeBlock  = "block"
	modeDetect = "detect"
)

// The choices for long bodies.
const (
	limitReject  = "reject"
	limitPartial = "partial"
)

const (
	defaultBodyLimit = 1 << 20
	mostBodyLimit    = 64 << 20
	defaultThreshold = 5
)

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	s := Settings{Mode: modeBlock, ParanoiaLevel: 1, AnomalyThreshold: defaultThreshold, OnBodyLimit: limitReject}
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	invalid := func(wrong bool, field, format string, args ...any) {
		if wrong {
			problems = append(problems, definition.Invalid(field, format, args...))
		}
	}
	s.Mode, s.OnBodyLimit = strings.ToLower(s.Mode), strings.ToLower(s.OnBodyLimit)
	invalid(s.Mode != modeBlock && s.Mode != modeDetect, "mode", "unknown value %q; use block or detect", s.Mode)
	invalid(s.OnBodyLimit != limitReject && s.OnBodyLimit != limitPartial, "onBodyLimit", "unknown value %q; use reject or partial", s.OnBodyLimit)
	invalid(s.ParanoiaLevel < 1 || s.ParanoiaLevel > 4, "paranoiaLevel", "must be 1 to 4")
	invalid(s.AnomalyThreshold < 1 || s.AnomalyThreshold > 1000, "anomalyThreshold", "must be 1 to 1000")
	limit, err := bodyLimit(s.BodyLimit)
	invalid(err != nil, "bodyLimit", "%v", err)
	exclusions, more := exclude(s.Exclusions)
	problems = append(problems, more...)
	if config.HasErrors(problems) {
		return nil, problems
	}
	return &rule{detect: s.Mode == modeDetect, partial: s.OnBodyLimit == limitPartial, limit: limit, key: engineKey{
		detect: s.Mode == modeDetect, partial: s.OnBodyLimit == limitPartial, paranoia: s.ParanoiaLevel,
		threshold: s.AnomalyThreshold, limit: limit, exclusions: exclusions,
	}}, problems
}

// bodyLimit reads text with a unit, or a number of bytes.
func bodyLimit(raw json.RawMessage) (int64, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return defaultBodyLimit, nil
	}
	var text definition.Text
	if err := json.Unmarshal(raw, &text); err != nil {
		return 0, err
	}
	n, err := definition.ParseSize(string(text))
	if err != nil {
		return 0, err
	}
	if n < 1 || n > mostBodyLimit {
		return 0, fmt.Errorf("must be 1 byte to %d MiB", mostBodyLimit>>20)
	}
	return n, nil
}

// Default is the rule of a waf middleware without settings, which is what
// enableExploitProtection of a route means.
func Default() definition.Rule {
	r, _ := parse(nil)
	return r
}

type rule struct {
	key     engineKey
	detect  bool
	partial bool
	limit   int64
}

// Handler implements definition.Rule.
func (f *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	if b.CheckOnly {
		return next, nil
	}
	engine, release, err := pool.Get(b.Pool, f.key, func() (*engine, error) { return newEngine(f.key) })
	if err != nil {
		return nil, err
	}
	b.Track(release)
	matches, release, err := pool.Get(b.Pool, matchesKey{b.Name}, func() (*matches, error) {
		return newMatches(b.Counters, b.Name), nil
	})
	if err != nil {
		return nil, err
	}
	b.Track(release)
	h := &handler{rule: f, covered: covered, engine: engine, matches: matches, log: b.Logger, name: b.Name, next: next}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	return h, nil
}
