// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// call is a function in a main or extra file: {{randomHex(16)}}.
var call = regexp.MustCompile(`\{\{[ \t]*([A-Za-z]+)\(([^(){}\n"']*)\)[ \t]*\}\}`)

// generated keeps the values of the process, so that a file which is read again
// gives the same document: by file, place in it, and what is called.
var generated sync.Map

type generatedKey struct {
	file, expression string
	ordinal          int
}

// callFunctions puts generated values into the text of a file. They hold letters,
// digits and the signs of a date, so nothing of the text around changes its
// meaning. Names that are not known stay as written. The shifts tell where the text
// was that now stands elsewhere.
func callFunctions(file string, data []byte) ([]byte, []shift) {
	found := call.FindAllIndex(data, -1)
	if found == nil {
		return data, nil
	}
	var out []byte
	var shifts []shift
	last := 0
	for i, m := range found {
		expression := data[m[0]:m[1]]
		out = append(out, data[last:m[0]]...)
		value := valueOf(generatedKey{file, string(expression), i + 1}, expression)
		out = append(out, value...)
		last = m[1]
		shifts = append(shifts, shiftAt(out, utf8.RuneCount(value)-utf8.RuneCount(expression)))
	}
	return append(out, data[last:]...), shifts
}

// valueOf gives the value of a call, the same at each reading.
func valueOf(key generatedKey, expression []byte) []byte {
	if value, ok := generated.Load(key); ok {
		return []byte(value.(string))
	}
	m := call.FindSubmatch(expression)
	value, ok := generate(strings.ToLower(string(m[1])), strings.TrimSpace(string(m[2])))
	if !ok {
		return expression
	}
	first, _ := generated.LoadOrStore(key, value)
	return []byte(first.(string))
}

// shift is by how much a value is longer than the call it stands for, which moves
// what follows it in its line.
type shift struct{ line, column, by int }

// shiftAt is that of a value that ends where the text does.
func shiftAt(text []byte, by int) shift {
	start := bytes.LastIndexByte(text, '\n') + 1
	return shift{line: 1 + bytes.Count(text, []byte("\n")), column: 1 + utf8.RuneCount(text[start:]), by: by}
}

// shiftBack gives all positions as they are in the file.
func (n *node) shiftBack(shifts []shift) {
	if len(shifts) == 0 {
		return
	}
	move := func(at *Position) {
		by := 0
		for _, s := range shifts {
			if s.line == at.Line && s.column <= at.Column {
				by += s.by
			}
		}
		at.Column -= by
	}
	move(&n.at)
	for _, item := range n.items {
		item.shiftBack(shifts)
	}
	for i := range n.fields {
		move(&n.fields[i].at)
		n.fields[i].value.shiftBack(shifts)
	}
}

func generate(name, argument string) (string, bool) {
	switch name {
	case "randomstring":
		return random(argument, alphabet)
	case "randomhex":
		return random(argument, "0123456789abcdef")
	case "uuid":
		return uuid(), true
	case "timestamp":
		return strconv.FormatInt(time.Now().Unix(), 10), true
	case "timestampms":
		return strconv.FormatInt(time.Now().UnixMilli(), 10), true
	case "now":
		return time.Now().UTC().Format(time.RFC3339), true
	case "date":
		if argument == "" {
			argument = time.DateOnly
		}
		return time.Now().UTC().Format(argument), true
	}
	return "", false
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// random gives n signs, 32 without an argument. Both alphabets have a power of two
// of signs, so that each is as likely.
func random(argument, signs string) (string, bool) {
	n := 32
	if argument != "" {
		var err error
		if n, err = strconv.Atoi(argument); err != nil || n < 1 || n > 1024 {
			return "", false
		}
	}
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	for i := range raw {
		raw[i] = signs[int(raw[i])%len(signs)]
	}
	return string(raw), true
}

// uuid gives one of version 4 (RFC 9562).
func uuid() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	h := hex.EncodeToString(raw[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}
