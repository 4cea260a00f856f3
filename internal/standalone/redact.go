// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// redacted stands for a value that must not be seen.
const redacted = "***"

// secretKey matches the keys of rules, and the names of headers, that hold
// credentials.
var secretKey = regexp.MustCompile(`(?i)pass(word|phrase|wd)?$|secret|token|api[-_]?key|private[-_]?key|credential|authorization|cookie`)

// hideSecrets gives the middleware with a rule in which nothing is secret. Rules
// are free objects, so it goes by the names of the keys; and when a rule is not
// understood, none of it is shown.
func hideSecrets(m config.Middleware) config.Middleware {
	if len(m.Rule) == 0 {
		return m
	}
	var rule any
	if json.Unmarshal(m.Rule, &rule) != nil {
		m.Rule = json.RawMessage(`"` + redacted + `"`)
		return m
	}
	text, err := json.Marshal(hideIn(rule, false))
	if err != nil {
		text = []byte(`"` + redacted + `"`)
	}
	m.Rule = text
	return m
}

// hideIn hides below v: every text when all is set, otherwise what keys say.
func hideIn(v any, all bool) any {
	switch v := v.(type) {
	case string:
		if all {
			return redacted
		}
		return hideUserinfo(v)
	case []any:
		for i := range v {
			v[i] = hideIn(v[i], all)
		}
	case map[string]any:
		for k := range v {
			if users, ok := v[k].([]any); ok && k == "users" && !all {
				v[k] = hideUsers(users)
				continue
			}
			v[k] = hideIn(v[k], all || secretKey.MatchString(k))
		}
	}
	return v
}

// hideUsers shows the names of users that are written as name:password.
func hideUsers(users []any) []any {
	for i, u := range users {
		text, ok := u.(string)
		if !ok {
			users[i] = hideIn(u, false)
			continue
		}
		if name, _, found := strings.Cut(text, ":"); found {
			users[i] = name + ":" + redacted
		} else {
			users[i] = redacted
		}
	}
	return users
}

// hideUserinfo hides the password of a URL.
func hideUserinfo(s string) string {
	if !strings.Contains(s, "://") || !strings.Contains(s, "@") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil {
		return redacted
	}
	if u.User == nil {
		return s
	}
	return u.Scheme + "://" + redacted + "@" + u.Host + u.EscapedPath()
}
