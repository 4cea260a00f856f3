// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

func scraped(m *Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func contains(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

func TestARouteTellsOfBytesBackendsAndCountries(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	m.SetCountries(func(a netip.Addr) string {
		if a == netip.MustParseAddr("192.0.2.1") {
			return "DE"
		}
		return "?\"}" // no code
	})
	shop := m.Route("shop")
	sample := exchange.Sample{Method: "POST", Status: 200, Took: 30 * time.Millisecond, Upstream: 20 * time.Millisecond, Received: 10, Sent: 20}
	for _, a := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"} {
		sample.Client = netip.MustParseAddr(a)
		shop.Observe(sample)
	}
	contains(t, scraped(m),
		`gateway_request_bytes_total{method="POST",name="shop"} 30`,
		`gateway_response_bytes_total{method="POST",name="shop"} 60`,
		`gateway_upstream_duration_seconds_bucket{name="shop",le="0.01"} 0`,
		`gateway_upstream_duration_seconds_bucket{name="shop",le="0.025"} 3`,
		`gateway_upstream_duration_seconds_count{name="shop"} 3`,
		`gateway_requests_by_country_total{country="DE",name="shop"} 2`,
		`gateway_requests_by_country_total{country="unknown",name="shop"} 1`,
		`gateway_realtime_visitors_count 2`,
		// the former names
		`http_requests_total{method="POST",name="shop"} 3`,
		`http_response_status_total{method="POST",name="shop",status="200"} 3`,
		`http_request_duration_seconds_count{method="POST",name="shop"} 3`,
	)
}

func TestStatesAreAskedWhenSomebodyLooks(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	m.Listeners = func() []ListenerState {
		return []ListenerState{{Name: "web", Open: 1, Accepted: 5, Refused: map[string]uint64{"limit": 7}}, {Name: "webSecure", Secure: true, Unagreed: 3}}
	}
	m.Endpoints = func() []EndpointState {
		return []EndpointState{{Name: "http://b:80", Open: 2, Idle: 1, Created: 3, Failed: 4, Retried: 5, Ejected: 6}, {Name: "http://b:80", Open: 1}}
	}
	m.Health = func() []HealthState {
		return []HealthState{{"r", "http://b:80", true}, {"r", "http://b:80", false}, {"r", "http://c:80", true}}
	}
	m.Ejections = func() []EjectionState {
		return []EjectionState{{"r", "http://b:80", true}, {"r", "http://b:80", false}, {"r", "http://c:80", false}}
	}
	text := scraped(m)
	contains(t, text,
		`gateway_endpoint_ejected{endpoint="http://b:80",name="r"} 1`, `gateway_endpoint_ejected{endpoint="http://c:80",name="r"} 0`,
		`gateway_upstream_ejections_total{endpoint="http://b:80"} 6`,
		`gateway_client_connections_refused_total{entrypoint="web",reason="limit"} 7`,
		`gateway_client_connections{entrypoint="web"} 1`, `gateway_client_connections_total{entrypoint="web"} 5`,
		`gateway_tls_handshake_errors_total{entrypoint="webSecure"} 3`,
		`gateway_upstream_connections_open{endpoint="http://b:80"} 3`, `gateway_upstream_connections_idle{endpoint="http://b:80"} 1`,
		`gateway_upstream_connections_total{endpoint="http://b:80"} 3`, `gateway_upstream_connect_errors_total{endpoint="http://b:80"} 4`,
		`gateway_upstream_retries_total{endpoint="http://b:80"} 5`,
		`gateway_endpoint_healthy{endpoint="http://b:80",name="r"} 0`, `gateway_endpoint_healthy{endpoint="http://c:80",name="r"} 1`,
	)
	if strings.Contains(text, `errors_total{entrypoint="web"}`) {
		t.Error("TLS of a listener without it")
	}
}

func TestTheConfigurationTellsOfItself(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	if strings.Contains(scraped(m), "gateway_config_last_success_timestamp_seconds ") {
		t.Error("a success before the first one")
	}
	m.Apply(Applied{Generation: 3, Took: 2 * time.Millisecond, SetAside: 1, Problems: []config.Problem{
		{Reason: config.ReasonInvalid}, {Reason: config.ReasonInvalid}, {Reason: config.ReasonIgnored, Severity: config.SeverityNote},
	}})
	text := scraped(m)
	contains(t, text,
		"gateway_config_generation 3", "gateway_config_apply_duration_seconds 0.002", "gateway_config_set_aside 1",
		`gateway_config_problems{reason="Invalid",severity="error"} 2`, `gateway_config_problems{reason="Ignored",severity="note"} 1`,
		`gateway_config_applies_total{result="success"} 1`, `gateway_config_applies_total{result="failure"} 0`,
	)
	if !strings.Contains(text, "gateway_config_last_success_timestamp_seconds 1") {
		t.Error("no time")
	}
	m.Apply(Applied{Generation: 4, Err: errors.New("unreadable")})
	m.Fail()
	text = scraped(m)
	contains(t, text, "gateway_config_generation 4", `gateway_config_applies_total{result="failure"} 2`)
	if strings.Contains(text, "gateway_config_problems{") {
		t.Error("problems that were solved")
	}
}

func TestVisitorsComeAndGo(t *testing.T) {
	t.Parallel()
	var v visitors
	now := time.Now()
	if n := v.count(now); n != 0 {
		t.Errorf("%v before the first", n)
	}
	v.setTTL(time.Second) // at least 30 s
	address := func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	}
	for i := range 20_000 {
		v.add(address(i), now)
		v.add(address(i), now)
	}
	if n := v.count(now.Add(20 * time.Second)); math.Abs(n-20_000) > 600 {
		t.Errorf("%v of 20000", n)
	}
	v.add(address(1), now.Add(time.Minute))
	v.add(netip.Addr{}, now)
	if n := v.count(now.Add(time.Minute)); n != 1 {
		t.Errorf("%v of 1", n)
	}
}

func TestVisitorsStayForAsLongAsIsSet(t *testing.T) { // C7: visitorTTL
	t.Parallel()
	now := time.Now()
	for ttl, want := range map[time.Duration]float64{time.Minute: 0, 10 * time.Minute: 1} {
		var m Metrics
		m.SetVisitorTTL(ttl)
		m.visitors.add(netip.AddrFrom4([4]byte{10, 0, 0, 1}), now)
		if n := m.visitors.count(now.Add(5 * time.Minute)); n != want {
			t.Errorf("%v of 1 after five minutes of %s", n, ttl)
		}
	}
}
