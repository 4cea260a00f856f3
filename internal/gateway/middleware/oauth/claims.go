// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// claims are what a provider says of a user.
type claims map[string]any

// decodeClaims reads a JSON object; numbers keep their digits.
func decodeClaims(data []byte) (claims, error) {
	var c claims
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	err := d.Decode(&c)
	return c, err
}

// text gives a claim as the value of a header; empty when there is none, or when it
// is none that a header can hold. The path may lead into objects, by dots. A list
// is joined by commas. P9
func (c claims) text(path string) string {
	value, ok := c[path] // a name with dots, such as a URL
	if !ok {
		value = walk(c, path)
	}
	text := render(value)
	if !httpguts.ValidHeaderFieldValue(text) {
		return ""
	}
	return text
}

func walk(c claims, path string) any {
	var at any = map[string]any(c)
	for step := range strings.SplitSeq(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = object[step]
	}
	return at
}

func render(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return strconv.FormatInt(i, 10)
		}
		if f, err := v.Float64(); err == nil {
			return strconv.FormatFloat(f, 'f', -1, 64)
		}
	case []any:
		var parts []string
		for _, item := range v {
			if text := render(item); text != "" {
				parts = append(parts, text)
			}
		}
		return strings.Join(parts, ",")
	}
	return ""
}

// subject is the name that the provider itself has for the user: that of OpenID,
// or what others use.
func (c claims) subject() string {
	for _, name := range []string{"sub", "id", "user_id"} {
		if text := c.text(name); text != "" {
			return text
		}
	}
	return ""
}
