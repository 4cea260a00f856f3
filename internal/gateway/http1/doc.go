// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package http1 reads and writes HTTP/1.1 messages (RFC 9110, RFC 9112), strictly:
// a message that two parsers could understand in two ways is refused, and heads
// are always written anew from their parsed form, never copied through.
//
// A head is parsed in place. What comes out are offsets into the bytes that were
// read, so parsing allocates nothing, and one copy of those bytes to a string
// gives every name and value as a part of it.
//
// The package knows messages and their framing; it knows no sockets, no routes
// and no policy beyond Limits.
package http1
