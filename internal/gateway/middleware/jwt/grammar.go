// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/claims"
)

// Bounds of an expression, so that no rule makes a request expensive.
const (
	maxExpressionBytes = 8 << 10
	maxDepth           = 64
)

// parseExpression reads a whole claims expression:
//
//	any  = all  { "||" all }
//	all  = one  { "&&" one }
//	one  = "!" one | "(" any ")" | name "(" claim { "," value } ")"
//
// Claim and values stand in backticks, single or double quotes; true, false and
// numbers may stand bare. A backslash stands before a quote or a backslash that is
// meant, but for backticks, in which everything stands for itself. M17
func parseExpression(text string) (condition, error) {
	if len(text) > maxExpressionBytes {
		return nil, fmt.Errorf("is longer than %d bytes", maxExpressionBytes)
	}
	p := &parser{text: text}
	c, err := p.any(0)
	if err != nil {
		return nil, err
	}
	if p.skip(); p.at < len(text) {
		return nil, p.expected("&& or ||, or the end")
	}
	return c, nil
}

type parser struct {
	text string
	at   int
}

func (p *parser) any(depth int) (condition, error) {
	left, err := p.all(depth)
	for err == nil && p.take("||") {
		var right condition
		right, err = p.all(depth)
		left = either{left, right}
	}
	return left, err
}

func (p *parser) all(depth int) (condition, error) {
	left, err := p.one(depth)
	for err == nil && p.take("&&") {
		var right condition
		right, err = p.one(depth)
		left = both{left, right}
	}
	return left, err
}

func (p *parser) one(depth int) (condition, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("is nested more than %d times", maxDepth)
	}
	if p.take("!") {
		inner, err := p.one(depth + 1)
		return not{inner}, err
	}
	if !p.take("(") {
		return p.call()
	}
	inner, err := p.any(depth + 1)
	if err == nil && !p.take(")") {
		err = p.expected(")")
	}
	return inner, err
}

func (p *parser) call() (condition, error) {
	p.skip()
	start := p.at
	for p.at < len(p.text) && letter(p.text[p.at]) {
		p.at++
	}
	name := p.text[start:p.at]
	if !slices.ContainsFunc(functions, func(f string) bool { return strings.EqualFold(f, name) }) {
		p.at = start
		return nil, p.expected(suggestion(name))
	}
	claim, values, err := p.arguments()
	if err != nil {
		return nil, err
	}
	c, ok := function(name, claim, values)
	if !ok {
		p.at = start
		return nil, p.expected("another number of values for " + name + ": Equals('claim', 'value')")
	}
	return c, nil
}

func suggestion(name string) string {
	if near := config.Nearest(name, functions); name != "" && near != "" {
		return near
	}
	return "one of " + strings.Join(functions, ", ") + ", !, or ("
}

func (p *parser) arguments() (claim string, values []string, err error) {
	if !p.take("(") {
		return "", nil, p.expected("(")
	}
	if claim, err = p.quoted(); err != nil {
		return "", nil, err
	}
	if claim == "" {
		return "", nil, p.expected("the name of a claim before here")
	}
	for p.take(",") {
		value, err := p.value()
		if err != nil {
			return "", nil, err
		}
		values = append(values, value)
	}
	if !p.take(")") {
		return "", nil, p.expected(", or )")
	}
	return claim, values, nil
}

// value is quoted, or a bare word: true, false or a number.
func (p *parser) value() (string, error) {
	p.skip()
	start := p.at
	for p.at < len(p.text) && (letter(p.text[p.at]) || strings.IndexByte("0123456789.+-", p.text[p.at]) >= 0) {
		p.at++
	}
	word := p.text[start:p.at]
	switch {
	case word == "":
		return p.quoted()
	case word == "true", word == "false":
		return word, nil
	case !letter(word[0]) && json.Valid([]byte(word)): // of what begins so, numbers are
		number, _ := claims.Text(json.Number(word))
		return number, nil
	}
	p.at = start
	return "", p.expected("a value in quotes")
}

// quoted is text between two of the same quotes.
func (p *parser) quoted() (string, error) {
	p.skip()
	if p.at == len(p.text) || strings.IndexByte("`'\"", p.text[p.at]) < 0 {
		return "", p.expected("a text in quotes")
	}
	start, quote := p.at, p.text[p.at]
	var out strings.Builder
	for i := start + 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == quote:
			p.at = i + 1
			return out.String(), nil
		case c == '\\' && quote != '`' && i+1 < len(p.text) && (p.text[i+1] == quote || p.text[i+1] == '\\'):
			i++
			out.WriteByte(p.text[i])
		default:
			out.WriteByte(c)
		}
	}
	return "", fmt.Errorf("at character %d: the quote is not closed", start+1)
}

// take reads a sign, if it is the next.
func (p *parser) take(sign string) bool {
	p.skip()
	if !strings.HasPrefix(p.text[p.at:], sign) {
		return false
	}
	p.at += len(sign)
	return true
}

func (p *parser) skip() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) expected(what string) error {
	p.skip()
	return fmt.Errorf("at character %d: expected %s", p.at+1, what)
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
