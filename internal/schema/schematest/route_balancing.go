// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schematest

func cookie(fields string) string { return with(`loadBalancing: {sticky: {cookie: {` + fields + `}}}`) }

func routeBalancing() []Case {
	const isDuration = "must be a duration"
	hash := func(fields string) string {
		return with(`loadBalancing: {policy: consistentHash, hashOn: {` + fields + `}}`)
	}
	outliers := func(field string) string { return with(`outlierDetection: {` + field + `}`) }
	timeout := func(field string) string { return with(`timeouts: {` + field + `}`) }
	return of("Route", []Case{
		{Name: "balancing may be left out", Accepted: with(`loadBalancing: {}, outlierDetection: {}, timeouts: {}`)},
		{Name: "policies are known", Accepted: with(`loadBalancing: {policy: leastRequest}`), Refused: with(`loadBalancing: {policy: random}`), Field: "spec.loadBalancing.policy"},
		{Name: "a hash needs its policy", Accepted: hash(`source: ip`), Refused: with(`loadBalancing: {policy: roundRobin, hashOn: {source: ip}}`), Field: "spec.loadBalancing", Says: "hashOn needs policy"},
		{Name: "a hash without a policy is none", Accepted: with(`loadBalancing: {policy: consistentHash}`), Refused: with(`loadBalancing: {hashOn: {source: ip}}`), Field: "spec.loadBalancing", Says: "hashOn needs policy"},
		{Name: "a hash has a source", Accepted: hash(`source: path`), Refused: hash(`name: X-User`), Field: "spec.loadBalancing.hashOn.source"},
		{Name: "sources of a hash are known", Accepted: hash(`source: query, name: user`), Refused: hash(`source: body, name: user`), Field: "spec.loadBalancing.hashOn.source"},
		{Name: "a hash of a header has a name", Accepted: hash(`source: header, name: X-User`), Refused: hash(`source: header`), Field: "spec.loadBalancing.hashOn", Says: "name the header"},
		{Name: "a hash of a cookie has more than an empty name", Accepted: hash(`source: cookie, name: user`), Refused: hash(`source: cookie, name: ""`), Field: "spec.loadBalancing.hashOn", Says: "name the header"},
		{Name: "a slow start is a duration", Accepted: with(`loadBalancing: {slowStart: 0s}`), Refused: with(`loadBalancing: {slowStart: slow}`), Field: "spec.loadBalancing.slowStart", Says: isDuration},
		{Name: "a sticky route has a cookie", Accepted: with(`loadBalancing: {sticky: {cookie: {}}}`), Refused: with(`loadBalancing: {sticky: {}}`), Field: "spec.loadBalancing.sticky.cookie"},
		{Name: "a cookie has a name that is a token", Accepted: cookie(`name: __Host-at, secure: true`), Refused: cookie(`name: "a;b"`), Field: "spec.loadBalancing.sticky.cookie.name", Says: "should match"},
		{Name: "a cookie has a path", Accepted: cookie(`path: /shop`), Refused: cookie(`path: "/;Domain=evil.org"`), Field: "spec.loadBalancing.sticky.cookie.path", Says: "should match"},
		{Name: "a cookie has a domain", Accepted: cookie(`domain: example.com`), Refused: cookie(`domain: "a;b"`), Field: "spec.loadBalancing.sticky.cookie.domain", Says: "should match"},
		{Name: "a cookie has an age", Accepted: cookie(`maxAge: 3600`), Refused: cookie(`maxAge: -1`), Field: "spec.loadBalancing.sticky.cookie.maxAge"},
		{Name: "a cookie is for known sites", Accepted: cookie(`sameSite: strict, httpOnly: false`), Refused: cookie(`sameSite: some`), Field: "spec.loadBalancing.sticky.cookie.sameSite"},
		{Name: "a cookie for all sites is secure", Accepted: cookie(`sameSite: none, secure: true`), Refused: cookie(`sameSite: none`), Field: "spec.loadBalancing.sticky.cookie", Says: "needs secure"},
		{Name: "an outlier has errors", Accepted: outliers(`consecutiveErrors: 1`), Refused: outliers(`consecutiveErrors: 0`), Field: "spec.outlierDetection.consecutiveErrors"},
		{Name: "an ejection is a duration", Accepted: outliers(`baseEjectionTime: 10s`), Refused: outliers(`baseEjectionTime: 0s`), Field: "spec.outlierDetection.baseEjectionTime", Says: isDuration},
		{Name: "the longest ejection is a duration", Accepted: outliers(`maxEjectionTime: 1m`), Refused: outliers(`maxEjectionTime: 5x`), Field: "spec.outlierDetection.maxEjectionTime", Says: isDuration},
		{Name: "ejected are not less than none", Accepted: outliers(`maxEjectionPercent: 0`), Refused: outliers(`maxEjectionPercent: -1`), Field: "spec.outlierDetection.maxEjectionPercent"},
		{Name: "ejected are not more than all", Accepted: outliers(`maxEjectionPercent: 100`), Refused: outliers(`maxEjectionPercent: 101`), Field: "spec.outlierDetection.maxEjectionPercent"},
		{Name: "panic is not below none", Accepted: outliers(`panicThreshold: 0`), Refused: outliers(`panicThreshold: -1`), Field: "spec.outlierDetection.panicThreshold"},
		{Name: "panic is not above all", Accepted: outliers(`panicThreshold: 100`), Refused: outliers(`panicThreshold: 101`), Field: "spec.outlierDetection.panicThreshold"},
		{Name: "a time to connect", Accepted: timeout(`connect: 2s`), Refused: timeout(`connect: 0s`), Field: "spec.timeouts.connect", Says: isDuration},
		{Name: "a time for the head", Accepted: timeout(`responseHeader: 1m`), Refused: timeout(`responseHeader: "5"`), Field: "spec.timeouts.responseHeader", Says: isDuration},
		{Name: "a time for pauses", Accepted: timeout(`idle: 1h`), Refused: timeout(`idle: -1s`), Field: "spec.timeouts.idle", Says: isDuration},
		{Name: "a time for all", Accepted: timeout(`total: 1.5s`), Refused: timeout(`total: ever`), Field: "spec.timeouts.total", Says: isDuration},
	})
}
