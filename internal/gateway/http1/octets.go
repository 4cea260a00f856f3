// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import "encoding/binary"

// Classes of octets.
const (
	isToken  = 1 << iota // RFC 9110 §5.6.2
	isTarget             // visible ASCII, or the start of something the path's normal form decides about
	isValue              // field value: HTAB, SP, visible ASCII, obs-text
)

var class = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] |= isToken
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= isToken
		t[c-'a'+'A'] |= isToken
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= isToken
	}
	for c := 0x21; c < 0x100; c++ {
		if c != 0x7f {
			t[c] |= isTarget | isValue
		}
	}
	t[' '] |= isValue
	t['\t'] |= isValue
	return t
}()

func all(b []byte, want uint8) bool {
	for _, c := range b {
		if class[c]&want == 0 {
			return false
		}
	}
	return true
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// validValue looks at eight octets at once; only those with a control character
// among them are looked at one by one, since HTAB is allowed.
func validValue(b []byte) bool {
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		del := w ^ (lows * 0x7f)
		control := (w - lows*0x20) & ^w & highs
		control |= (del - lows) & ^del & highs
		if control != 0 && !all(b[:8], isValue) {
			return false
		}
		b = b[8:]
	}
	return all(b, isValue)
}

// lower maps A-Z to a-z and leaves every other octet.
var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	for c := byte('A'); c <= 'Z'; c++ {
		t[c] = c + 'a' - 'A'
	}
	return t
}()

// equalFold compares with a text in lower case, ignoring the case of ASCII letters.
func equalFold[T text](b T, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i := range len(want) {
		if lower[b[i]] != want[i] {
			return false
		}
	}
	return true
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
