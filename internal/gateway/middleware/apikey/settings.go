// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
)

// Type is apiKey.
var Type = definition.Type{Names: []string{"apiKey"}, Security: true, Scoped: true, Secrets: []string{"keys[].key"}, Parse: parse}

// Settings is the rule of an apiKey middleware.
type Settings struct {
	// Keys are those that are good. Required. Several may have one name, so that a
	// key can be exchanged for the next one.
	Keys []Key `json:"keys"`
	// HeaderName is the header that holds the key; X-API-Key by default, if there is
	// no other place.
	HeaderName string `json:"headerName"`
	// HeaderScheme stands before the key in the header, such as Bearer; nothing by
	// default.
	HeaderScheme string `json:"headerScheme"`
	// QueryName is the parameter of the query that holds the key; none by default.
	QueryName string `json:"queryName"`
	// CookieName is the cookie that holds the key; none by default.
	CookieName string `json:"cookieName"`
	// ForwardKey leaves the key in the request to the backend; false by default.
	ForwardKey bool `json:"forwardKey"`
	// NameHeader is a header that tells the backend the name of the key. What the
	// client sent under this name never arrives. None by default.
	NameHeader string `json:"nameHeader"`
}

// Key is an object with name and key, or the key alone.
type Key struct {
	// Name says whose the key is. Required with nameHeader.
	Name definition.Text `json:"name"`
	// Key is the key, or sha256: and its digest in hexadecimal digits.
	Key definition.Text `json:"key"`
	// KeyFrom names a Secret in place of it.
	KeyFrom json.RawMessage `json:"keyFrom"`
}

// UnmarshalJSON reads both forms.
func (k *Key) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] != '{' {
		return json.Unmarshal(data, &k.Key)
	}
	type plain Key
	return json.Unmarshal(data, (*plain)(k))
}

const (
	defaultHeader = "X-Api-Key"
	// leastKeyBytes are the least that cannot be guessed, whatever characters there are.
	leastKeyBytes = 16
)

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	out := &rule{keys: keys{}, forward: s.ForwardKey}
	problems = append(problems, out.readPlaces(&s)...)
	if len(s.Keys) == 0 {
		problems = append(problems, definition.Invalid("keys", "list at least one key, as text or as an object with name and key"))
	}
	for i, k := range s.Keys {
		problems = append(problems, out.add(k, fmt.Sprintf("keys[%d]", i))...)
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return out, problems
}

// framing are headers that belong to a connection or a body.
var framing = spelling.Of("Connection", "Content-Encoding", "Content-Length", "Cookie", "Expect", "Host", "Keep-Alive",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade")

func (a *rule) readPlaces(s *Settings) (problems []config.Problem) {
	if s.HeaderName == "" && s.QueryName == "" && s.CookieName == "" {
		s.HeaderName = defaultHeader
	}
	for _, h := range []struct{ field, name string }{{"headerName", s.HeaderName}, {"nameHeader", s.NameHeader}} {
		if h.name != "" && (!httpguts.ValidHeaderFieldName(h.name) || framing.Has(h.name)) {
			problems = append(problems, definition.Invalid(h.field, "%q is not a header that can be used", h.name))
		}
	}
	if s.HeaderScheme != "" && (s.HeaderName == "" || !httpguts.ValidHeaderFieldName(s.HeaderScheme)) {
		problems = append(problems, definition.Invalid("headerScheme", "must be one word, and needs headerName"))
	}
	if !httpguts.ValidHeaderFieldName(s.CookieName) && s.CookieName != "" {
		problems = append(problems, definition.Invalid("cookieName", "%q is not a name of a cookie", s.CookieName))
	}
	a.place = place{header: http.CanonicalHeaderKey(s.HeaderName), scheme: s.HeaderScheme, query: s.QueryName, cookie: s.CookieName}
	if s.HeaderName != "" {
		a.place.spellings = spelling.Of(s.HeaderName)
	}
	if s.NameHeader != "" {
		a.nameHeader, a.identity = http.CanonicalHeaderKey(s.NameHeader), spelling.Of(s.NameHeader)
		if a.place.spellings.Has(s.NameHeader) {
			problems = append(problems, definition.Invalid("nameHeader", "is the header of the key; take another one"))
		}
	}
	return problems
}

// add checks one key. No message repeats it.
func (a *rule) add(k Key, field string) []config.Problem {
	switch {
	case k.Key == "" && len(k.KeyFrom) > 0:
		return []config.Problem{definition.Unread(field + ".key")}
	case k.Key == "":
		return []config.Problem{definition.Invalid(field+".key", "is missing")}
	case a.nameHeader != "" && k.Name == "":
		return []config.Problem{definition.Invalid(field+".name", "is missing, and nameHeader is to tell it")}
	case !httpguts.ValidHeaderFieldValue(string(k.Name)) || strings.TrimSpace(string(k.Name)) != string(k.Name):
		return []config.Problem{definition.Invalid(field+".name", "cannot be the value of a header")}
	}
	if name := config.Unresolved(string(k.Key)); name != "" {
		return []config.Problem{definition.Unset(field+".key", name)}
	}
	d, err := digestOf(string(k.Key))
	if err != nil {
		return []config.Problem{definition.Invalid(field+".key", "%v", err)}
	}
	if _, known := a.keys[d]; known {
		return []config.Problem{warning(field, "is the key of another entry, which counts")}
	}
	a.keys[d] = []string{string(k.Name)}
	if len(k.Key) < leastKeyBytes {
		return []config.Problem{warning(field, "is short enough to be guessed; make it of %d random characters or more", 2*leastKeyBytes)}
	}
	return nil
}

func warning(field, format string, args ...any) config.Problem {
	p := definition.Invalid(field+".key", format, args...)
	p.Severity = config.SeverityWarning
	return p
}
