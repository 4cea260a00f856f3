// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package geoblock admits or refuses clients by the country of their address. Only
// the client address that the gateway has derived counts, never a header that a
// client sends. Addresses of private networks have no country and pass.
//
// Without a database of countries, or with one that cannot be read, the routes
// answer 503. The database is read again when its file changes.
package geoblock

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/geo"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// Type is geoBlock.
var Type = definition.Type{Names: []string{"geoBlock"}, Security: true, Parse: parse}

// Settings is the rule of a geoBlock middleware.
type Settings struct {
	// Action is ALLOW, which admits only the listed countries, or DENY, which
	// refuses them; in any case. Required.
	Action string `json:"action"`
	// Countries are codes of two letters (ISO 3166-1), in any case. Required.
	Countries []string `json:"countries"`
	// StatusCode is that of the refusal, 400 to 599; 403 by default.
	StatusCode int `json:"statusCode"`
	// Message is the text of the refusal.
	Message string `json:"message"`
	// AllowUnknown admits addresses whose country is not known; true by default.
	AllowUnknown *bool `json:"allowUnknown"`
	// AddCountryHeader is a request header that tells the backend the country. What
	// a client sends under its name is taken out. None by default.
	AddCountryHeader string `json:"addCountryHeader"`
}

const defaultMessage = "Access denied from your region"

// mistaken are codes that people write and that are not those of the country.
var mistaken = map[string]string{"UK": "GB", "EN": "GB", "EL": "GR"}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	out := &rule{
		listed: map[string]bool{}, status: s.StatusCode, message: s.Message,
		allowUnknown: s.AllowUnknown == nil || *s.AllowUnknown,
	}
	problems = append(problems, out.act(s)...)
	problems = append(problems, out.answer(s)...)
	if config.HasErrors(problems) {
		return nil, problems
	}
	return out, problems
}

type rule struct {
	listed       map[string]bool
	admitListed  bool
	allowUnknown bool
	status       int
	message      string
	header       string
	names        spelling.Names
}

// act reads whom the rule is for.
func (g *rule) act(s Settings) (problems []config.Problem) {
	switch strings.ToUpper(s.Action) {
	case "ALLOW":
		g.admitListed = true
	case "DENY":
	case "":
		problems = append(problems, definition.Invalid("action", "is missing; use ALLOW or DENY"))
	default:
		problems = append(problems, definition.Invalid("action", "unknown value %q; use ALLOW or DENY", s.Action))
	}
	if len(s.Countries) == 0 {
		problems = append(problems, definition.Invalid("countries", "list at least one country, such as FR"))
	}
	for i, text := range s.Countries {
		code, field := strings.ToUpper(text), fmt.Sprintf("countries[%d]", i)
		switch {
		case mistaken[code] != "":
			problems = append(problems, definition.Invalid(field, "%q is the code of no country; write %s", text, mistaken[code]))
		case !isCode(code):
			problems = append(problems, definition.Invalid(field, "%q is not the code of a country; write two letters, such as FR", text))
		}
		g.listed[code] = true
	}
	return problems
}

func isCode(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

// answer reads what clients and backends get.
func (g *rule) answer(s Settings) (problems []config.Problem) {
	if g.status == 0 {
		g.status = http.StatusForbidden
	}
	if g.status < 400 || g.status > 599 {
		problems = append(problems, definition.Invalid("statusCode", "%d is no status of a refusal; use 400 to 599", s.StatusCode))
	}
	if g.message == "" {
		g.message = defaultMessage
	}
	if s.AddCountryHeader == "" {
		return problems
	}
	g.header = http.CanonicalHeaderKey(s.AddCountryHeader)
	g.names = spelling.Of(s.AddCountryHeader)
	if !httpguts.ValidHeaderFieldName(s.AddCountryHeader) || slices.Contains(reserved, g.header) {
		problems = append(problems, definition.Invalid("addCountryHeader", "%q is not a header that can be added; use a name such as X-Country", s.AddCountryHeader))
	}
	return problems
}

// reserved headers mean something else to backends.
var reserved = []string{
	"Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Forwarded", "Host", "Keep-Alive", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
}

var errNoDatabase = errors.New("there is no database of countries; set gateway.geoip.database, or the variable GOMA_GEOIP_DB, to the path of one")

// WithoutDatabase is the problem of a geoBlock middleware in a gateway that has no
// database.
func WithoutDatabase(m *config.Middleware) config.Problem {
	return config.Problem{Object: m.Meta.Ref, Position: m.Meta.Place("type"), Field: "type", Reason: config.ReasonMiddlewareInvalid, Message: errNoDatabase.Error()}
}

// Handler implements definition.Rule.
func (g *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	switch {
	case b.GeoDatabase == "" && b.CheckOnly:
		return next, nil // where it will run there may be one
	case b.GeoDatabase == "":
		return nil, errNoDatabase
	}
	if b.DependOn != nil {
		b.DependOn(b.GeoDatabase)
	}
	db, release, err := geo.Open(b.Pool, b.GeoDatabase, b.Logger)
	if err != nil {
		return nil, err
	}
	b.Track(release)
	denials, release, err := pool.Get(b.Pool, denialsKey{b.Name}, func() (*denials, error) {
		return newDenials(b.Counters, b.Name), nil
	})
	if err != nil {
		return nil, err
	}
	b.Track(release)
	return &handler{rule: g, db: db, denials: denials, next: next}, nil
}

type handler struct {
	*rule

	db      *geo.Database
	denials *denials
	next    http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r)
	country := ""
	if !local(x.ClientIP) {
		country = h.db.Country(x.ClientIP)
		if !h.admits(country) {
			h.denials.count(country)
			x.Reason = "geo_block"
			reply.Error(w, r, h.status, h.message)
			return
		}
	}
	if h.header != "" {
		h.names.Delete(r)
		if country != "" {
			r.Header[h.header] = []string{country}
		}
	}
	h.next.ServeHTTP(w, r)
}

func (g *rule) admits(country string) bool {
	if country == "" {
		return g.allowUnknown
	}
	return g.listed[country] == g.admitListed
}

// local tells addresses that are of no country. One that could not be derived is
// not among them: its country is unknown.
func local(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified())
}
