// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/claims"
)

// condition is a claims expression: something that holds for a token, or not.
type condition interface {
	holds(claims.Set) bool
}

type (
	// either, both and not join conditions.
	either struct{ left, right condition }
	both   struct{ left, right condition }
	not    struct{ inner condition }
	// test compares one claim. A claim that is missing is none of the values, so
	// that "not suspended" holds for those of whom nothing is said. M17
	test struct {
		claim  string
		values []string
		equal  func(text, value string) bool
	}
)

func (c either) holds(s claims.Set) bool { return c.left.holds(s) || c.right.holds(s) }
func (c both) holds(s claims.Set) bool   { return c.left.holds(s) && c.right.holds(s) }
func (c not) holds(s claims.Set) bool    { return !c.inner.holds(s) }

func (c test) holds(s claims.Set) bool {
	value := s.Find(c.claim)
	if list, ok := value.([]any); ok {
		return slices.ContainsFunc(list, c.admits)
	}
	return c.admits(value)
}

func (c test) admits(value any) bool {
	if _, nested := value.([]any); nested {
		return false
	}
	text, ok := claims.Text(value)
	return ok && slices.ContainsFunc(c.values, func(v string) bool { return c.equal(text, v) })
}

func same(text, value string) bool { return text == value }

// function makes the condition of a call; false when the number of values is wrong.
func function(name, claim string, values []string) (condition, bool) {
	if len(values) == 0 {
		return nil, false
	}
	switch {
	case strings.EqualFold(name, "Equals"):
		return test{claim, values, same}, len(values) == 1
	case strings.EqualFold(name, "Prefix"):
		return test{claim, values, strings.HasPrefix}, len(values) == 1
	case strings.EqualFold(name, "Contains") && len(values) == 1:
		return test{claim, values, strings.Contains}, true
	case strings.EqualFold(name, "Contains"), strings.EqualFold(name, "OneOf"):
		return test{claim, values, same}, true
	}
	return nil, false
}

// functions are the names that function knows, for messages.
var functions = []string{"Equals", "Prefix", "Contains", "OneOf"}
