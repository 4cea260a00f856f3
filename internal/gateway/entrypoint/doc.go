// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package entrypoint is where requests come in: a listener, with or without TLS,
// that speaks HTTP/1.1 and HTTP/2.
//
// Before anything else looks at a request it is brought into its one form: the
// path is normalised, the host is canonical, and who the client is has been
// decided. What cannot be brought into that form is refused here. From then on
// everybody reads the exchange, so what was matched is what is sent.
package entrypoint
