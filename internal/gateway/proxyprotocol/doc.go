// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package proxyprotocol reads and writes the header with which a load balancer
// says whose connection it passes on: PROXY protocol, versions 1 and 2, of
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
//
// A header is believed from trusted peers only. One of them that sends none, or a
// broken one, is refused, since whatever it sent in its place could come from its
// client. What others send is left alone: their connections count under their own
// address, and a header is just a malformed request. A header has a deadline and
// a bounded size.
package proxyprotocol
