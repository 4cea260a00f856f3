// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package proxy takes one request from the client to an endpoint and its response
// back: the path is rewritten, the headers that end at this hop are taken off, the
// forwarded headers are put on, bodies and trailers stream both ways, and a
// connection that is upgraded becomes a tunnel.
//
// What arrives of a response that breaks off is never passed on as a whole one:
// the client's connection, or its stream, is aborted.
package proxy
