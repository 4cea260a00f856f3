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
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// condition is one entry of a backend's match: a value of the request, and a test.
type condition struct {
	value func(*http.Request) string
	test  func(string) bool
}

func (c *condition) holds(r *http.Request) bool { return c.test(c.value(r)) }

func newCondition(m config.BackendMatch) (condition, error) {
	value, err := valueOf(m)
	if err != nil {
		return condition{}, err
	}
	test, err := testOf(m)
	return condition{value, test}, err
}

// valueOf gives the reader of a value; what is absent is empty.
func valueOf(m config.BackendMatch) (func(*http.Request) string, error) {
	switch strings.ToLower(m.Source) {
	case "header":
		name := http.CanonicalHeaderKey(m.Name)
		if name == "Host" {
			return func(r *http.Request) string { return r.Host }, nil
		}
		return func(r *http.Request) string { return r.Header.Get(name) }, nil
	case "cookie":
		return func(r *http.Request) string {
			if c, err := r.Cookie(m.Name); err == nil {
				return c.Value
			}
			return ""
		}, nil
	case "query":
		return func(r *http.Request) string { return firstQuery(r.URL.RawQuery, m.Name) }, nil
	case "ip":
		return func(r *http.Request) string {
			if ip := exchange.Of(r).ClientIP; ip.IsValid() {
				return ip.String()
			}
			return ""
		}, nil
	}
	return nil, fmt.Errorf("match source %q is not known", m.Source)
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

func testOf(m config.BackendMatch) (func(string) bool, error) {
	want := m.Value
	switch strings.ToLower(m.Operator) {
	case "equals":
		return func(s string) bool { return s == want }, nil
	case "not_equals":
		return func(s string) bool { return s != want }, nil
	case "contains":
		return func(s string) bool { return strings.Contains(s, want) }, nil
	case "not_contains":
		return func(s string) bool { return !strings.Contains(s, want) }, nil
	case "starts_with":
		return func(s string) bool { return strings.HasPrefix(s, want) }, nil
	case "ends_with":
		return func(s string) bool { return strings.HasSuffix(s, want) }, nil
	case "in":
		var list []string
		for item := range strings.SplitSeq(want, ",") {
			list = append(list, strings.TrimSpace(item))
		}
		return func(s string) bool { return slices.Contains(list, s) }, nil
	case "regex":
		re, err := regexp.Compile(want)
		if err != nil {
			return nil, fmt.Errorf("match value is not an RE2 regular expression: %w", err)
		}
		return re.MatchString, nil
	}
	return nil, fmt.Errorf("match operator %q is not known", m.Operator)
}
