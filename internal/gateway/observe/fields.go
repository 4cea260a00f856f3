// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/http1"
)

// The fields that every answer has.
const (
	requestIDField = "X-Goma-Request-Id"
	proxiedByField = "Proxied-By"
)

// AppendFields appends the fields that every answer has to a head.
func AppendFields(head []byte, x *exchange.Exchange) []byte {
	if x.RequestID != "" {
		head = http1.AppendField(head, requestIDField, x.RequestID)
	}
	return http1.AppendField(head, proxiedByField, proxiedBy)
}

// Sets tells whether a field of a backend's response gives way to one of ours.
func Sets(name []byte) bool {
	switch len(name) {
	case len(requestIDField):
		return strings.EqualFold(string(name), requestIDField)
	case len(proxiedByField):
		return strings.EqualFold(string(name), proxiedByField)
	}
	return false
}
