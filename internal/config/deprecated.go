// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"reflect"
	"strings"
)

// modernise brings the former spellings of a table into the present ones, with a
// note for each. Where both are given the present one counts.
func (d *decoder) modernise(n *node, t reflect.Type, path string) {
	for _, s := range spellings[t] {
		value := n.take(s.old)
		if value == nil {
			continue
		}
		d.report(Problem{
			Object: d.object, Field: join(path, s.old), Reason: ReasonIgnored, Severity: SeverityNote,
			Message: "is a former spelling; write " + s.new, Position: value.at,
		})
		if s.negate {
			b, ok := value.truth()
			if !ok {
				d.mismatch(value, join(path, s.old), "true or false")
				continue
			}
			value = &node{kind: boolean, at: value.at, text: map[bool]string{true: "false", false: "true"}[b]}
		}
		put(n, strings.Split(s.new, "."), value)
	}
	if t == reflect.TypeFor[Gateway]() {
		d.everyRoute(n, path, "cors")
		d.everyRoute(n, path, "errorInterceptor")
	}
}

// put sets a value unless there is one.
func put(n *node, path []string, value *node) {
	for _, key := range path[:len(path)-1] {
		if n = n.child(key); n == nil {
			return
		}
	}
	if last := path[len(path)-1]; n.get(last) == nil {
		n.set(last, value)
	}
}

// spelling is a former key of a table.
type spelling struct {
	old, new string
	// negate says that the former key meant the opposite.
	negate bool
}

var spellings = map[reflect.Type][]spelling{
	reflect.TypeFor[File](): {{old: "certificateManager", new: "certManager"}},
	reflect.TypeFor[Gateway](): {
		{old: "readTimeout", new: "timeouts.read"},
		{old: "writeTimeout", new: "timeouts.write"},
		{old: "idleTimeout", new: "timeouts.idle"},
		{old: "enableMetrics", new: "monitoring.enableMetrics"},
		{old: "enableStrictSlash", new: "strictSlash"},
	},
	reflect.TypeFor[TLS](): {{old: "keys", new: "certificates"}},
	routeType: {
		{old: "destination", new: "target"},
		{old: "disabled", new: "enabled", negate: true},
		{old: "insecureSkipVerify", new: "security.tls.insecureSkipVerify"},
		{old: "blockCommonExploits", new: "security.enableExploitProtection"},
		{old: "disableHostForwarding", new: "security.forwardHostHeaders", negate: true},
	},
	reflect.TypeFor[BackendTLS]():  {{old: "SkipVerification", new: "insecureSkipVerify"}, {old: "skipVerification", new: "insecureSkipVerify"}},
	reflect.TypeFor[Maintenance](): {{old: "status", new: "statusCode"}, {old: "body", new: "message"}},
}

// everyRoute gives a former setting of the gateway to each static route that does
// not have it.
func (d *decoder) everyRoute(n *node, path, key string) {
	value := n.take(key)
	if value == nil {
		return
	}
	d.report(Problem{
		Object: d.object, Field: join(path, key), Reason: ReasonIgnored, Severity: SeverityNote,
		Message: "is a former setting, given to each route here; use a middleware", Position: value.at,
	})
	routes := n.get("routes")
	if routes == nil {
		return
	}
	for _, r := range routes.items {
		if r.kind == table && r.get(key) == nil {
			r.set(key, value)
		}
	}
}

// normaliseRoute brings values into the one form that the rest of the program
// compares.
func normaliseRoute(r *Route) {
	for i, method := range r.Methods {
		r.Methods[i] = strings.ToUpper(strings.TrimSpace(method))
	}
	r.Target = withoutSlash(r.Target)
	for i := range r.Backends {
		r.Backends[i].Endpoint = withoutSlash(r.Backends[i].Endpoint)
		for j := range r.Backends[i].Match {
			m := &r.Backends[i].Match[j]
			m.Source, m.Operator = strings.ToLower(m.Source), strings.ToLower(m.Operator)
		}
	}
}

// withoutSlash takes the slash from the end of http://host:port/, which many
// people write.
func withoutSlash(endpoint string) string {
	return strings.TrimRight(strings.TrimSpace(endpoint), "/")
}
