// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestTheGatewaysOwnListenersAreNoBackends(t *testing.T) { // U7
	t.Parallel()
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("", routeYAML("other", "/other", echo(t, "other"))))
	r := start(t, Options{ConfigFile: path})
	r.untilRoutes("other")
	_, webPort, _ := net.SplitHostPort(r.at.Web)
	write(t, path, mainFile("", routeYAML("admin", "/admin", "http://"+r.at.Admin)+
		routeYAML("name", "/name", "http://localhost:"+webPort)+
		routeYAML("other", "/other", echo(t, "other"))+
		routeYAML("web", "/web", "http://"+r.at.Web)))
	r.untilRoutes("admin", "name", "other", "web")
	for _, path := range []string{"/web", "/admin", "/name"} {
		if code, body := r.get(path); code != 502 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	r.expect("/other", 200, "other /other") // another address of this host
}

// nameServer answers every question with the loopback address, and counts them.
func nameServer(t *testing.T) (address string, asked *atomic.Int32) {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	asked = &atomic.Int32{}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := l.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			if q.Type == dnsmessage.TypeA {
				asked.Add(1)
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = l.WriteTo(packed, from)
			}
		}
	}()
	return l.LocalAddr().String(), asked
}

func TestNamesAreForgottenOnAReloadThatIsToldTo(t *testing.T) { // C7, U6
	t.Parallel()
	for clears, want := range map[bool]int32{false: 1, true: 2} {
		t.Run(fmt.Sprint(clears), func(t *testing.T) {
			t.Parallel()
			dns, asked := nameServer(t)
			backend := echo(t, "shop")
			target := "http://shop.example.:" + backend[strings.LastIndex(backend, ":")+1:]
			settings := fmt.Sprintf("  networking: {dnsCache: {ttl: 3600, resolver: [%q], clearOnReload: %t}}\n", dns, clears)
			path := filepath.Join(t.TempDir(), "goma.yml")
			write(t, path, mainFile(settings, routeYAML("a", "/a", target)))
			r := start(t, Options{ConfigFile: path})
			r.untilRoutes("a")
			for range 3 {
				r.expect("/a", 200, "shop /a")
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("asked %d times", n)
			}
			write(t, path, mainFile(settings, routeYAML("b", "/b", target)))
			r.untilRoutes("b")
			r.client.CloseIdleConnections()
			r.expect("/b", 200, "shop /b")
			if n := asked.Load(); n != want {
				t.Errorf("asked %d times after a reload, want %d", n, want)
			}
		})
	}
}

func TestAskingForTheHealthOfRoutesAsksNoBackend(t *testing.T) { // L3
	t.Parallel()
	var asked atomic.Int32
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(ill.Close)
	path := filepath.Join(t.TempDir(), "goma.yml")
	const check = ", healthCheck: {path: /healthz, interval: 1h}"
	write(t, path, mainFile("  monitoring: {enableRouteHealthCheck: true, includeRouteHealthErrors: true}\n",
		routeYAML("a", "/a", ill.URL+"/base", check)+routeYAML("b", "/b", ill.URL+"/base", check)))
	r := start(t, Options{ConfigFile: path})
	r.untilRoutes("a", "b")
	const want = `[{"name":"a","status":"unhealthy","error":"status 500"},{"name":"b","status":"unhealthy","error":"status 500"}]`
	deadline := time.Now().Add(patience)
	for {
		_, body := r.get("/healthz/routes")
		if strings.Contains(body, want) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the answer is %s", body)
		}
	}
	for range 50 {
		r.get("/healthz/routes")
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the backend of two routes was asked %d times", n)
	}
}

// What outlier detection has taken out shows where health is looked for, as a metric too.
func TestWhatWasTakenOutShows(t *testing.T) { // L4
	t.Parallel()
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(ill.Close)
	well := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(well.Close)
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("  monitoring: {enableRouteHealthCheck: true, includeRouteHealthErrors: true, enableMetrics: true}\n",
		fmt.Sprintf("- {name: a, path: /a, backends: [{endpoint: %q}, {endpoint: %q}], outlierDetection: {consecutiveErrors: 2, baseEjectionTime: 1h, maxEjectionTime: 1h}}\n", ill.URL, well.URL)))
	r := start(t, Options{ConfigFile: path}).waitReady()
	r.untilRoutes("a")
	if _, body := r.get("/healthz/routes"); !strings.Contains(body, `[{"name":"a - [0]","status":"healthy","error":""},{"name":"a - [1]","status":"healthy","error":""}]`) {
		t.Errorf("before: %s", body)
	}
	for range 8 {
		r.get("/a")
	}
	_, body := r.get("/healthz/routes")
	if !strings.Contains(body, `[{"name":"a - [0]","status":"unhealthy","error":"taken out for a while, since it fails requests"},{"name":"a - [1]","status":"healthy","error":""}]`) {
		t.Errorf("after: %s", body)
	}
	_, metrics := r.ask(r.at.Admin, "/metrics")
	for _, want := range []string{
		fmt.Sprintf("gateway_endpoint_ejected{endpoint=%q,name=\"a\"} 1", ill.URL), fmt.Sprintf("gateway_endpoint_ejected{endpoint=%q,name=\"a\"} 0", well.URL),
		fmt.Sprintf("gateway_upstream_ejections_total{endpoint=%q} 1", ill.URL), fmt.Sprintf("gateway_upstream_ejections_total{endpoint=%q} 0", well.URL),
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
}
