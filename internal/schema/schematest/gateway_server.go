// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schematest

func gatewayServer() []Case {
	return of("Gateway", []Case{
		{Name: "log levels are known", Accepted: `{server: {logLevel: trace}}`, Refused: `{server: {logLevel: loud}}`, Field: "spec.server.logLevel"},
		{Name: "the log may be off", Accepted: `{server: {logLevel: "off"}}`},
		{Name: "a read timeout is not negative", Accepted: `{server: {timeouts: {read: 0}}}`, Refused: `{server: {timeouts: {read: -1}}}`, Field: "spec.server.timeouts.read"},
		{Name: "a write timeout is not negative", Accepted: `{server: {timeouts: {write: 0}}}`, Refused: `{server: {timeouts: {write: -1}}}`, Field: "spec.server.timeouts.write"},
		{Name: "an idle timeout is not negative", Accepted: `{server: {timeouts: {idle: 0}}}`, Refused: `{server: {timeouts: {idle: -1}}}`, Field: "spec.server.timeouts.idle"},
		{Name: "a certificate has a secret", Accepted: `{server: {tls: [{secretName: example-com-tls}, {secretName: api.example.com}]}}`, Refused: `{server: {tls: [{}]}}`, Field: "spec.server.tls[0].secretName"},
		{Name: "the secret of a certificate is named", Accepted: `{server: {tls: []}}`, Refused: `{server: {tls: [{secretName: ""}]}}`, Field: "spec.server.tls[0].secretName"},
		{Name: "the secret of a certificate is no path", Accepted: `{server: {tls: [{secretName: a}]}}`, Refused: `{server: {tls: [{secretName: ../a}]}}`, Field: "spec.server.tls[0].secretName", Says: "should match"},
		{Name: "redis has an address", Accepted: `{server: {redis: {addr: "redis:6379"}}}`, Refused: `{server: {redis: {}}}`, Field: "spec.server.redis.addr"},
		{Name: "the address of redis is not empty", Accepted: `{server: {redis: {addr: "redis:6379", password: changeme}}}`, Refused: `{server: {redis: {addr: ""}}}`, Field: "spec.server.redis.addr"},
		{Name: "redis has one password", Accepted: `{server: {redis: {addr: "r:1", passwordSecret: {name: a, key: b}}}}`, Refused: `{server: {redis: {addr: "r:1", password: p, passwordSecret: {name: a, key: b}}}}`, Field: "spec.server.redis", Says: "not both"},
		{Name: "the secret of redis is named", Accepted: redis(`name: a, key: b`), Refused: redis(`key: b`), Field: "spec.server.redis.passwordSecret.name"},
		{Name: "the name of the secret of redis is not empty", Accepted: redis(`name: a, key: b`), Refused: redis(`name: "", key: b`), Field: "spec.server.redis.passwordSecret.name"},
		{Name: "the secret of redis is no path", Accepted: redis(`name: redis-auth, key: b`), Refused: redis(`name: "a/b", key: b`), Field: "spec.server.redis.passwordSecret.name", Says: "should match"},
		{Name: "the password of redis has a key", Accepted: redis(`name: a, key: tls.Key_1`), Refused: redis(`name: a`), Field: "spec.server.redis.passwordSecret.key"},
		{Name: "the key is not empty", Accepted: redis(`name: a, key: password`), Refused: redis(`name: a, key: ""`), Field: "spec.server.redis.passwordSecret.key"},
		{Name: "the metrics path is a path", Accepted: `{server: {monitoring: {enableMetrics: true, metricsPath: /m}}}`, Refused: `{server: {monitoring: {metricsPath: m}}}`, Field: "spec.server.monitoring.metricsPath"},
		{Name: "metrics have middlewares", Accepted: `{server: {monitoring: {host: m.example.com, middleware: {metrics: [metrics-basic-auth]}}}}`, Refused: `{server: {monitoring: {middleware: {metrics: [""]}}}}`, Field: "spec.server.monitoring.middleware.metrics[0]"},
		{Name: "former fields are accepted", Accepted: `{server: {monitoring: {enableReadiness: true, enableLiveness: false}}}`},
		{Name: "a visitor stays for a time", Accepted: `{server: {monitoring: {visitorTTL: 5m}}}`, Refused: `{server: {monitoring: {visitorTTL: long}}}`, Field: "spec.server.monitoring.visitorTTL", Says: "must be a duration"},
		{Name: "names are kept for a time", Accepted: `{server: {networking: {dnsCache: {ttl: 0, clearOnReload: true}}}}`, Refused: `{server: {networking: {dnsCache: {ttl: -1}}}}`, Field: "spec.server.networking.dnsCache.ttl"},
		{Name: "name servers are named", Accepted: `{server: {networking: {dnsCache: {resolver: ["8.8.8.8:53"]}}}}`, Refused: `{server: {networking: {dnsCache: {resolver: [""]}}}}`, Field: "spec.server.networking.dnsCache.resolver[0]"},
		{Name: "idle connections are not negative", Accepted: `{server: {networking: {transport: {maxIdleConns: 0}}}}`, Refused: `{server: {networking: {transport: {maxIdleConns: -1}}}}`, Field: "spec.server.networking.transport.maxIdleConns"},
		{Name: "idle connections of a host are not negative", Accepted: `{server: {networking: {transport: {maxIdleConnsPerHost: 0}}}}`, Refused: `{server: {networking: {transport: {maxIdleConnsPerHost: -1}}}}`, Field: "spec.server.networking.transport.maxIdleConnsPerHost"},
		{Name: "connections of a host are not negative", Accepted: `{server: {networking: {transport: {maxConnsPerHost: 0}}}}`, Refused: `{server: {networking: {transport: {maxConnsPerHost: -1}}}}`, Field: "spec.server.networking.transport.maxConnsPerHost"},
		{Name: "traces go to a URL", Accepted: `{server: {tracing: {endpoint: "http://c:4318", samplingPercent: 0, serviceName: edge}}}`, Refused: `{server: {tracing: {endpoint: "c:4318"}}}`, Field: "spec.server.tracing.endpoint"},
		{Name: "a share of traces is at most all", Accepted: `{server: {tracing: {endpoint: "https://c/x", samplingPercent: 100}}}`, Refused: `{server: {tracing: {endpoint: "http://c", samplingPercent: 101}}}`, Field: "spec.server.tracing.samplingPercent"},
		{Name: "the reload path is a path", Accepted: `{server: {reload: {enabled: true, path: /reload, token: t, host: a.example.com}}}`, Refused: `{server: {reload: {path: reload}}}`, Field: "spec.server.reload.path"},
	})
}

func redis(secret string) string {
	return `{server: {redis: {addr: "r:1", passwordSecret: {` + secret + `}}}}`
}
