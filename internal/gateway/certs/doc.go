// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package certs chooses the certificate of a TLS handshake. A Set is immutable and
// part of a Snapshot; Build makes the next one from the last, reads again only what
// has changed, and keeps the last good version of a pair that breaks, so that one
// bad file costs nobody else anything and its own name as little as possible.
//
// A certificate serves the names that it is valid for and no others (RFC 6125 as
// narrowed by RFC 9525): exact names before wildcards, a wildcard for exactly one
// label, the newest of several, none that has expired. All else gets the default.
package certs
