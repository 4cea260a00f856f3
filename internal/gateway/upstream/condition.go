// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// condition is one entry of a backend's match: a value of the request, and a test.
type condition struct {
	value func(Request) string
	test  func(string) bool
}

func (c *condition) holds(q Request) bool { return c.test(c.value(q)) }

// newConditions compiles the match of a backend. The error comes with the field
// that it is about.
func newConditions(list []config.BackendMatch) (conditions []condition, field string, err error) {
	for i, m := range list {
		value, err := valueOf(m.Source, m.Name)
		if err != nil {
			return nil, fmt.Sprintf("match[%d].source", i), err
		}
		test, field, err := testOf(m)
		if err != nil {
			return nil, fmt.Sprintf("match[%d].%s", i, field), err
		}
		conditions = append(conditions, condition{value, test})
	}
	return conditions, "", nil
}

// valueOf gives the reader of a value; what is absent is empty.
func valueOf(source, name string) (func(Request) string, error) {
	switch strings.ToLower(source) {
	case "header":
		name = http.CanonicalHeaderKey(name)
		return func(q Request) string { return q.Field(name) }, nil
	case "cookie":
		return func(q Request) string { return q.Cookie(name) }, nil
	case "query":
		return func(q Request) string { return firstQuery(q.Query(), name) }, nil
	case "path":
		return Request.Path, nil
	case "ip":
		return func(q Request) string {
			if ip := q.Client(); ip.IsValid() {
				return ip.String()
			}
			return ""
		}, nil
	}
	return nil, fmt.Errorf("%q is not a source", source)
}

// firstQuery decodes no more of the query than it needs.
func firstQuery(raw, name string) string {
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(key); err != nil || key != name {
			continue
		}
		if value, err := url.QueryUnescape(value); err == nil {
			return value
		}
	}
	return ""
}

// testOf gives the comparison, or the field that it cannot be made of.
func testOf(m config.BackendMatch) (test func(string) bool, field string, err error) {
	want := m.Value
	switch strings.ToLower(m.Operator) {
	case "equals":
		return func(s string) bool { return s == want }, "", nil
	case "not_equals":
		return func(s string) bool { return s != want }, "", nil
	case "contains":
		return func(s string) bool { return strings.Contains(s, want) }, "", nil
	case "not_contains":
		return func(s string) bool { return !strings.Contains(s, want) }, "", nil
	case "starts_with":
		return func(s string) bool { return strings.HasPrefix(s, want) }, "", nil
	case "ends_with":
		return func(s string) bool { return strings.HasSuffix(s, want) }, "", nil
	case "in":
		var list []string
		for item := range strings.SplitSeq(want, ",") {
			list = append(list, strings.TrimSpace(item))
		}
		return func(s string) bool { return slices.Contains(list, s) }, "", nil
	case "regex":
		re, err := regexp.Compile(want)
		if err != nil {
			return nil, "value", fmt.Errorf("is not an RE2 regular expression: %w", err)
		}
		return re.MatchString, "", nil
	}
	return nil, "operator", fmt.Errorf("%q is not an operator", m.Operator)
}
