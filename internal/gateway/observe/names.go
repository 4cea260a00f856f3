// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import "github.com/prometheus/client_golang/prometheus"

// The metrics of the gateway, but for those of middlewares, stores and forwarded
// ports, which are beside what they count. Labels come from the configuration, the
// known methods and status codes, so clients cannot make series. B3
var (
	descUptime = describe("gateway_uptime_seconds",
		"Seconds since the gateway started. One series.")
	descRoutes = describe("gateway_routes_count",
		"Routes that are live. One series.")
	descMiddlewares = describe("gateway_middlewares_count",
		"Middlewares that are live. One series.")
	descVisitors = describe("gateway_realtime_visitors_count",
		"Clients of counted routes, by address, within gateway.monitoring.visitorTTL; an estimate beyond a few hundred. One series.")

	descRequests = describe("gateway_requests_total",
		"Requests by route and method. At most ten series for a route.", "name", "method")
	descStatus = describe("gateway_response_status_total",
		"Answers by status, route and method. One series for each combination seen.", "status", "name", "method")
	descDuration = describe("gateway_request_duration_seconds",
		"Time from the head of a request to the end of its answer. At most ten histograms for a route.", "name", "method")
	descUpstream = describe("gateway_upstream_duration_seconds",
		"Time from the choice of an endpoint to the head of its response. One histogram for a route.", "name")
	descReceived = describe("gateway_request_bytes_total",
		"Bytes of bodies received from clients. At most ten series for a route.", "name", "method")
	descSent = describe("gateway_response_bytes_total",
		"Bytes of bodies sent to clients. At most ten series for a route.", "name", "method")
	descCountry = describe("gateway_requests_by_country_total",
		"Requests by the country of the client, where there is a database of countries. Some 250 series for a route at most.", "name", "country")

	// Their former names, for dashboards that use them.
	descOldRequests = describe("http_requests_total",
		"Deprecated: use gateway_requests_total, which has the same series.", "name", "method")
	descOldStatus = describe("http_response_status_total",
		"Deprecated: use gateway_response_status_total, which has the same series.", "status", "name", "method")
	descOldDuration = describe("http_request_duration_seconds",
		"Deprecated: use gateway_request_duration_seconds, which has the same series.", "name", "method")

	descDropped = describe("gateway_log_dropped_total",
		"Log lines lost because nobody took them. One series.")
	descPanics = describe("gateway_panics_total",
		"Requests that ended in a panic of the gateway. One series.")
	descSpans = describe("gateway_trace_spans_exported_total",
		"Spans that a collector has taken. One series, where traces are on.")
	descSpansLost = describe("gateway_trace_spans_dropped_total",
		"Spans that no collector took. One series, where traces are on.")

	descSourceAge = describe("gateway_source_age_seconds",
		"Seconds since the origin of a source confirmed what is in use. At most one series for each remote source, none before the first time.", "source")
	descSourceStale = describe("gateway_source_stale",
		"Whether the origin of a source failed, or has not been reached yet, so that what is in use may be old. One series for each remote source.", "source")

	descExpiry = describe("gateway_certificate_expiry_seconds",
		"Seconds until the certificate of a host expires, negative when it has. One series for each name of a certificate in use.", "host")

	descGeneration = describe("gateway_config_generation",
		"Number of the configuration that is live, from 1 at the start of the process. One series.")
	descApplied = describe("gateway_config_last_success_timestamp_seconds",
		"When a configuration was last read and applied without an error, in Unix time. One series.")
	descApplyTime = describe("gateway_config_apply_duration_seconds",
		"What merging, compiling and swapping took the last time. One series.")
	descApplies = describe("gateway_config_applies_total",
		"Attempts to apply a configuration, by result. Two series.", "result")
	descProblems = describe("gateway_config_problems",
		"Problems of the configuration that is live, by severity and reason. One series for each pair there is.", "severity", "reason")
	descAside = describe("gateway_config_set_aside",
		"Objects that are not served as they should be. One series.")

	descClients = describe("gateway_client_connections",
		"Connections of clients that are open. One series for a listener.", "entrypoint")
	descAccepted = describe("gateway_client_connections_total",
		"Connections of clients that were accepted. One series for a listener.", "entrypoint")
	descRefused = describe("gateway_client_connections_refused_total",
		"Connections of clients that were not served, by the reason: limit, client_limit, proxy_protocol, flood. Four series for a listener.",
		"entrypoint", "reason")
	descHandshakes = describe("gateway_tls_handshake_errors_total",
		"Connections of clients on which TLS was not agreed. One series for a listener with TLS.", "entrypoint")

	descOpen = describe("gateway_upstream_connections_open",
		"Connections to an endpoint that are open. One series for an endpoint.", "endpoint")
	descIdle = describe("gateway_upstream_connections_idle",
		"Connections to an endpoint over HTTP/1.1 that wait for a request. One series for an endpoint.", "endpoint")
	descCreated = describe("gateway_upstream_connections_total",
		"Connections to an endpoint that were made. One series for an endpoint.", "endpoint")
	descConnectErrors = describe("gateway_upstream_connect_errors_total",
		"Connections to an endpoint that could not be made, for the network or TLS. One series for an endpoint.", "endpoint")
	descRetries = describe("gateway_upstream_retries_total",
		"Requests that were sent again. One series for an endpoint.", "endpoint")
	descEjections = describe("gateway_upstream_ejections_total",
		"How often an endpoint was taken out for failing requests. One series for an endpoint.", "endpoint")
	descEjected = describe("gateway_endpoint_ejected",
		"Whether an endpoint is taken out for failing requests. One series for each endpoint of a route with outlier detection.", "name", "endpoint")
	descHealthy = describe("gateway_endpoint_healthy",
		"Whether an endpoint passed its last health check. One series for each endpoint of a route that has one.", "name", "endpoint")
)

var descriptions []*prometheus.Desc

func describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(name, help, labels, nil)
	descriptions = append(descriptions, d)
	return d
}
