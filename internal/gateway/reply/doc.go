// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package reply writes the answers that the gateway gives by itself: errors,
// refusals and maintenance pages. Their form is negotiated with the client (RFC
// 9110 §12.5.1): JSON, XML or plain text. They are never empty, except to HEAD,
// and a gRPC client gets a gRPC status.
package reply
