// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package responseheaders

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// Cookie is one cookie to set. An empty value, or maxAge -1, deletes it.
type Cookie struct {
	Name       string          `json:"name"`
	Value      definition.Text `json:"value"`
	Attributes Attributes      `json:"attributes"`
}

// Attributes are those of RFC 6265; their keys are read in any case.
type Attributes struct {
	// Path is / by default.
	Path   string `json:"path"`
	Domain string `json:"domain"`
	// MaxAge is in seconds: 0 lasts as long as the browser runs, -1 deletes.
	MaxAge   int  `json:"maxAge"`
	Secure   bool `json:"secure"`
	HTTPOnly bool `json:"httpOnly"`
	// SameSite is Strict, Lax, which is the default, or None, which needs Secure.
	SameSite string `json:"sameSite"`
}

// UnmarshalJSON is there to refuse keys that nobody knows: a misspelt attribute
// would leave a cookie open.
func (a *Attributes) UnmarshalJSON(data []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return fmt.Errorf("attributes must be an object")
	}
	for key := range keys {
		switch strings.ToLower(key) {
		case "path", "domain", "maxage", "secure", "httponly", "samesite":
		default:
			return fmt.Errorf("unknown attribute %q", key)
		}
	}
	type plain Attributes
	return json.Unmarshal(data, (*plain)(a))
}

var sameSites = map[string]http.SameSite{
	"": http.SameSiteLaxMode, "lax": http.SameSiteLaxMode, "strict": http.SameSiteStrictMode, "none": http.SameSiteNoneMode,
}

// compileCookies gives the header of each cookie.
func compileCookies(list []Cookie) (lines []string, problems []config.Problem) {
	seen := map[string]bool{}
	for i, c := range list {
		field := fmt.Sprintf("setCookies[%d]", i)
		if seen[c.Name] {
			problems = append(problems, definition.Invalid(field+".name", "cookie %q is set twice", c.Name))
		}
		seen[c.Name] = true
		line, problem := compileCookie(c, field)
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		lines = append(lines, line)
	}
	return lines, problems
}

func compileCookie(c Cookie, field string) (string, *config.Problem) {
	invalid := func(at, format string, args ...any) (string, *config.Problem) {
		p := definition.Invalid(field+at, format, args...)
		return "", &p
	}
	a := c.Attributes
	mode, ok := sameSites[strings.ToLower(a.SameSite)]
	switch {
	case !ok:
		return invalid(".attributes.sameSite", "unknown value %q; use Strict, Lax or None", a.SameSite)
	case mode == http.SameSiteNoneMode && !a.Secure:
		return invalid(".attributes.sameSite", "None needs secure: true; browsers refuse the cookie otherwise")
	case a.Path != "" && (!strings.HasPrefix(a.Path, "/") || strings.ContainsAny(a.Path, ";\r\n")):
		return invalid(".attributes.path", "%q is not a path", a.Path)
	case a.MaxAge < -1:
		return invalid(".attributes.maxAge", "use seconds, 0 for a session, or -1 to delete")
	}
	if a.Path == "" {
		a.Path = "/"
	}
	cookie := http.Cookie{
		Name: c.Name, Value: string(c.Value), Path: a.Path, Domain: a.Domain, MaxAge: a.MaxAge,
		Secure: a.Secure, HttpOnly: a.HTTPOnly, SameSite: mode,
	}
	if c.Value == "" {
		cookie.MaxAge = -1
	}
	if err := cookie.Valid(); err != nil {
		return invalid("", "%s", strings.TrimPrefix(err.Error(), "http: "))
	}
	return cookie.String(), nil
}
