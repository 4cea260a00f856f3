// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package acme obtains certificates from authorities that speak ACME (RFC 8555), and
// renews them.
//
// The names come from the routes that are live, one certificate for each: a name
// that an authority refuses holds up no other. What is obtained, and every attempt,
// is in a store that all replicas share, so that a name is ordered once for all of
// them, under a lock that ends by itself, and a process that starts again and again
// does not ask again and again. An attempt is written down before it is made.
//
// A handshake never waits and never orders anything: it gets what is there. An old
// certificate is served until there is a newer one.
package acme
