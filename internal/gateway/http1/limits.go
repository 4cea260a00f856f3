// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

// Limits bound what a peer can make us hold. The zero value of a field is its default.
type Limits struct {
	// HeadBytes bounds a whole head, and the trailers of a message; 64 KiB.
	HeadBytes int
	// LineBytes bounds the request line; 16 KiB.
	LineBytes int
	// Fields bounds how many field lines a head has; 256.
	Fields int
}

const (
	defaultHeadBytes = 64 << 10
	defaultLineBytes = 16 << 10
	defaultFields    = 256
)

// WithDefaults fills in what is not set.
func (l Limits) WithDefaults() Limits {
	if l.HeadBytes <= 0 {
		l.HeadBytes = defaultHeadBytes
	}
	if l.LineBytes <= 0 {
		l.LineBytes = defaultLineBytes
	}
	if l.Fields <= 0 {
		l.Fields = defaultFields
	}
	return l
}
