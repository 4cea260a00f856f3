// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package downstream is the side of the clients: it serves HTTP/1.1 on the
// connections that it is given, one goroutine for each.
//
// A request is a Stream: its head, parsed strictly, and its body, as it arrives.
// Whoever serves it either works on the Stream itself, which costs one allocation,
// or asks for an *http.Request and an http.ResponseWriter, which are made at that
// moment and never used again: what a handler keeps of them holds the data of that
// request and of no other.
//
// The promises of the connection are kept here. Answers leave in the order of the
// requests. A connection goes on only when both messages have been read and written
// to their ends. An answer that breaks off looks like one. Each phase has its time
// limit, and a client that goes away ends the interest that others have in serving
// it.
package downstream
