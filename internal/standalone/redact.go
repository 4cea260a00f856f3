// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema/rules"
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
	for _, field := range rules.Secrets(m.Type) {
		hideField(rule, strings.Split(field, "."))
	}
	text, err := json.Marshal(hideIn(rule, false))
	if err != nil {
		text = []byte(`"` + redacted + `"`)
	}
	m.Rule = text
	return m
}

// hideField hides what stands at the names, of which those of lists end in []. A text
// in a list of objects is one of them in short, and hidden too.
func hideField(v any, names []string) {
	object, ok := v.(map[string]any)
	if !ok {
		return
	}
	name, list := strings.CutSuffix(names[0], "[]")
	switch items, _ := object[name].([]any); {
	case object[name] == nil:
	case len(names) == 1:
		object[name] = redacted
	case !list:
		hideField(object[name], names[1:])
	default:
		for i := range items {
			if _, short := items[i].(map[string]any); !short && name != "users" {
				items[i] = redacted
			}
			hideField(items[i], names[1:])
		}
	}
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
			if namesSecret(v[k]) && !all {
				continue // it says where the value is
			}
			v[k] = hideIn(v[k], all || secretKey.MatchString(k))
		}
	}
	return v
}

// namesSecret tells {secretKeyRef: {name, key}}.
func namesSecret(v any) bool {
	object, _ := v.(map[string]any)
	ref, _ := object["secretKeyRef"].(map[string]any)
	_, name := ref["name"].(string)
	_, key := ref["key"].(string)
	return len(object) == 1 && len(ref) == 2 && name && key
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
