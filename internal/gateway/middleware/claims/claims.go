// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package claims reads what a token says of its bearer: values by their path, as
// text, and as the value of a header.
package claims

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Set are claims by their names. Numbers are of type json.Number, so that they keep
// their digits. It is not changed once it has been read.
type Set map[string]any

var errTrailing = errors.New("there is more than one JSON object")

// Decode reads a JSON object.
func Decode(data []byte) (Set, error) {
	var s Set
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if err := d.Decode(&s); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errTrailing
	}
	return s, nil
}

// Find gives the value at a path, which may lead into objects, by dots; nil when
// there is none. A claim whose name has dots, such as a URL, comes first.
func (s Set) Find(path string) any {
	if value, ok := s[path]; ok {
		return value
	}
	var at any = map[string]any(s)
	for step := range strings.SplitSeq(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = object[step]
	}
	return at
}

// Header gives the value at a path for a header: text as it is, a list joined by
// commas. It is empty when there is none, or none that a header can hold. P9
func (s Set) Header(path string) string {
	text, _ := Text(s.Find(path))
	if !httpguts.ValidHeaderFieldValue(text) {
		return ""
	}
	return text
}

// Text gives a value as text: a list joined by commas, a number without an exponent
// or a fraction of nothing. What is absent, null or an object has no text.
func Text(value any) (text string, ok bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return number(v), true
	case []any:
		var parts []string
		for _, item := range v {
			if text, ok := Text(item); ok && text != "" {
				parts = append(parts, text)
			}
		}
		return strings.Join(parts, ","), true
	}
	return "", false
}

// number writes whole numbers by all of their digits: identities are longer than
// what a floating point number can hold.
func number(n json.Number) string {
	if !strings.ContainsAny(n.String(), ".eE") {
		return n.String()
	}
	f, err := n.Float64()
	if err != nil {
		return n.String()
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
