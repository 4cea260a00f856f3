// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/json"

	"gateway.jkaninda.dev/goma/internal/config"
)

// legacySteps makes middlewares of the deprecated fields cors and
// errorInterceptor of a route, so that there is one implementation of each.
func legacySteps(b *builder) []*step {
	var list []*step
	add := func(field, kind string, rule json.RawMessage) {
		s := parseStep(&b.o, &config.Middleware{
			Name: b.route.Name + "." + field, Type: kind, Rule: rule,
			Meta: config.Meta{Ref: b.object},
		})
		for _, p := range s.problems {
			p.Field = field
			b.report(p)
		}
		if s.fault != "" {
			b.failClosed(field + " cannot be used: " + s.fault)
		}
		list = append(list, s)
	}
	if present(b.route.CORS) {
		add("cors", "responseHeaders", mustJSON(map[string]json.RawMessage{"cors": enabledByDefault(b.route.CORS)}))
	}
	if present(b.route.ErrorInterceptor) {
		add("errorInterceptor", "errorInterceptor", b.route.ErrorInterceptor)
	}
	return list
}

func present(raw json.RawMessage) bool {
	return len(raw) > 0 && string(raw) != "null" && string(raw) != "{}"
}

// enabledByDefault adds enabled: true to an object that does not say. The old
// form of cors was on when it was there.
func enabledByDefault(raw json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return raw
	}
	if _, ok := fields["enabled"]; ok {
		return raw
	}
	fields["enabled"] = json.RawMessage("true")
	return mustJSON(fields)
}

// mustJSON encodes what was JSON before.
func mustJSON(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return data
}
