// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// call is a function in a main or extra file: {{randomHex(16)}}.
var call = regexp.MustCompile(`\{\{\s*([A-Za-z]+)\(([^(){}\n"']*)\)\s*\}\}`)

// generated keeps the values of the process, so that a file which is read again
// gives the same document: by file, place in it, and what is called.
var generated sync.Map

type generatedKey struct {
	file, expression string
	ordinal          int
}

// callFunctions puts generated values into the text of a file. They hold letters,
// digits and the signs of a date, so nothing of the text around changes its
// meaning. Names that are not known stay as written.
func callFunctions(file string, data []byte) []byte {
	ordinal := 0
	return call.ReplaceAllFunc(data, func(expression []byte) []byte {
		ordinal++
		key := generatedKey{file, string(expression), ordinal}
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
	})
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
