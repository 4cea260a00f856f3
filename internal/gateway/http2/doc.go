// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package http2 is the server side of HTTP/2 (RFC 9113): it takes a connection on
// which HTTP/2 has been agreed, and hands each request to an http.Handler.
//
// One goroutine reads a connection, one writes it, and each request has one. What is
// to be written is gathered in one buffer, so that answers which are ready together
// leave together. A request's context is an exchange.Interest.
//
// Everything a client can make us hold is bounded: streams, heads as they are on the
// wire and as they are in memory, the bodies that nobody has read, and what waits to
// be written. How often a client may have us work for nothing is the affair of whoever
// hands connections over; see package entrypoint.
package http2
