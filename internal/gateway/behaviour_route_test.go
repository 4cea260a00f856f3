// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// trials show what each setting of a route does. In a route's text $A, $B and $C are
// backends that answer with their names, $OWN is one of the route alone and $ILL one
// that always fails.
var trials = map[string]trial{
	"name":           {`path: /`, `name: named, path: /`, counted, [2]string{"its own", "named"}, ""},
	"path":           {`path: /`, `path: /p`, status("GET", "/q"), [2]string{"200", "404"}, ""},
	"rewrite":        {`path: /a`, `path: /a, rewrite: /b`, body("/a/x"), [2]string{"A /a/x", "A /b/x"}, ""},
	"target":         {`target: $A`, `target: $B`, body("/"), [2]string{"A /", "B /"}, ""},
	"methods[0]":     {`path: /`, `methods: [GET]`, status("POST", "/"), [2]string{"200", "405"}, ""},
	"hosts[0]":       {`path: /`, `hosts: [other.example]`, status("GET", "/"), [2]string{"200", "404"}, ""},
	"priority":       {`path: /`, `priority: 9`, body("/x"), [2]string{"B /x", "A /x"}, `path: /x, target: $B`},
	"enabled":        {`enabled: true`, `enabled: false`, status("GET", "/"), [2]string{"200", "404"}, ""},
	"middlewares[0]": {`path: /`, `middlewares: [prefix]`, body("/x"), [2]string{"A /x", "A /v1/x"}, ""},

	"backends[0].endpoint":  {`backends: [{endpoint: $A}]`, `backends: [{endpoint: $B}]`, body("/"), [2]string{"A /", "B /"}, ""},
	"backends[0].weight":    {weights(1), weights(4), shares(10), [2]string{"A:5 B:5", "A:8 B:2"}, ""},
	"backends[0].exclusive": {canary(`exclusive: false`), canary(`exclusive: true`), shares(10), [2]string{"A:5 B:5", "B:10"}, ""},
	"backends[0].priority":  {canaries(0), canaries(1), shares(3), [2]string{"B:3", "C:3"}, ""},
	"backends[0].match[0].source": {
		matching("header", "k", "equals", "v"), matching("query", "k", "equals", "v"), body("/?k=v"), [2]string{"A /", "B /"}, "",
	},
	"backends[0].match[0].name": {
		matching("query", "x", "equals", "v"), matching("query", "k", "equals", "v"), body("/?k=v"), [2]string{"A /", "B /"}, "",
	},
	"backends[0].match[0].operator": {
		matching("query", "k", "equals", "v"), matching("query", "k", "contains", "v"), body("/?k=uvw"), [2]string{"A /", "B /"}, "",
	},
	"backends[0].match[0].value": {
		matching("query", "k", "equals", "u"), matching("query", "k", "equals", "v"), body("/?k=v"), [2]string{"A /", "B /"}, "",
	},

	"healthCheck.path": {
		`healthCheck: {path: /ok}`, `healthCheck: {path: /status/500}`, until(health), [2]string{"healthy", "unhealthy"}, "",
	},
	"healthCheck.interval": {
		`target: $OWN, healthCheck: {path: /probe, interval: 1h}`, `target: $OWN, healthCheck: {path: /probe, interval: 10ms}`, probes, [2]string{"seldom", "often"}, "",
	},
	"healthCheck.timeout": {
		`target: $OWN, healthCheck: {path: /ok}`, `target: $OWN, healthCheck: {path: /ok, timeout: 1ns}`, until(health), [2]string{"healthy", "unhealthy"}, "",
	},
	"healthCheck.healthyStatuses[0]": {
		`healthCheck: {path: /ok}`, `healthCheck: {path: /ok, healthyStatuses: [204]}`, until(health), [2]string{"healthy", "unhealthy"}, "",
	},

	"loadBalancing.policy": {
		pair(`{policy: roundRobin}`), pair(`{policy: consistentHash}`), spread, [2]string{"2", "1"}, "",
	},
	"loadBalancing.hashOn.source": {
		pair(`{policy: consistentHash, hashOn: {source: header, name: k}}`), pair(`{policy: consistentHash, hashOn: {source: query, name: k}}`), spread, [2]string{"2", "1"}, "",
	},
	"loadBalancing.hashOn.name": {
		pair(`{policy: consistentHash, hashOn: {source: header, name: X-Same}}`), pair(`{policy: consistentHash, hashOn: {source: header, name: X-Key}}`), spread, [2]string{"1", "2"}, "",
	},
	"loadBalancing.sticky.cookie.name":     {cookie(`path: /`), cookie(`path: /, name: mine`), cookieHas("mine="), [2]string{"false", "true"}, ""},
	"loadBalancing.sticky.cookie.path":     {cookie(`name: c`), cookie(`name: c, path: /p`), cookieHas("Path=/p;"), [2]string{"false", "true"}, ""},
	"loadBalancing.sticky.cookie.domain":   {cookie(`name: c`), cookie(`name: c, domain: shop.example`), cookieHas("Domain=shop.example"), [2]string{"false", "true"}, ""},
	"loadBalancing.sticky.cookie.maxAge":   {cookie(`name: c`), cookie(`name: c, maxAge: 77`), cookieHas("Max-Age=77"), [2]string{"false", "true"}, ""},
	"loadBalancing.sticky.cookie.secure":   {cookie(`name: c`), cookie(`name: c, secure: true`), cookieHas("Secure"), [2]string{"false", "true"}, ""},
	"loadBalancing.sticky.cookie.httpOnly": {cookie(`name: c`), cookie(`name: c, httpOnly: false`), cookieHas("HttpOnly"), [2]string{"true", "false"}, ""},
	"loadBalancing.sticky.cookie.sameSite": {cookie(`name: c`), cookie(`name: c, sameSite: strict`), cookieHas("SameSite=Strict"), [2]string{"false", "true"}, ""},

	"outlierDetection.consecutiveErrors": {
		judged(`maxEjectionPercent: 50`), judged(`maxEjectionPercent: 50, consecutiveErrors: 1`), shares(8), [2]string{"503:4 A:4", "503:1 A:7"}, "",
	},
	"outlierDetection.baseEjectionTime": {
		judged(`consecutiveErrors: 1, maxEjectionPercent: 50`), judged(`consecutiveErrors: 1, maxEjectionPercent: 50, baseEjectionTime: 20ms`), ejections, [2]string{"30s", "20ms 40ms"}, "",
	},
	"outlierDetection.maxEjectionTime": {
		judged(`consecutiveErrors: 1, baseEjectionTime: 20ms`), judged(`consecutiveErrors: 1, baseEjectionTime: 20ms, maxEjectionTime: 20ms`), ejections, [2]string{"20ms 40ms", "20ms 20ms"}, "",
	},
	"outlierDetection.maxEjectionPercent": {
		judged(`consecutiveErrors: 1`), judged(`consecutiveErrors: 1, maxEjectionPercent: 0`), shares(8), [2]string{"503:1 A:7", "503:4 A:4"}, "",
	},
	"outlierDetection.panicThreshold": {
		judged(`consecutiveErrors: 1`), judged(`consecutiveErrors: 1, panicThreshold: 60`), shares(8), [2]string{"503:1 A:7", "503:4 A:4"}, "",
	},

	"timeouts.connect":        {`target: $OWN`, `target: $OWN, timeouts: {connect: 1ns}`, status("GET", "/"), [2]string{"200", "504"}, ""},
	"timeouts.responseHeader": {`target: $OWN`, `target: $OWN, timeouts: {responseHeader: 30ms}`, held("/hold"), [2]string{"200 own /hold", "504"}, ""},
	"timeouts.total":          {`target: $OWN`, `target: $OWN, timeouts: {total: 30ms}`, held("/hold"), [2]string{"200 own /hold", "504"}, ""},
	"timeouts.idle":           {`target: $OWN`, `target: $OWN, timeouts: {idle: 30ms}`, held("/part"), [2]string{"200 partown /part", "200 broken off after part"}, ""},

	"security.forwardHostHeaders": {
		`security: {forwardHostHeaders: true}`, `security: {forwardHostHeaders: false}`, seenHost, [2]string{"the client's", "the backend's"}, "",
	},
	"security.enableExploitProtection": {
		`path: /`, `security: {enableExploitProtection: true}`, status("GET", "/?q=%3Cscript%3Ealert(1)%3C/script%3E"), [2]string{"200", "403"}, "",
	},
	"security.tls.insecureSkipVerify": {
		`target: $TLS`, `target: $TLS, security: {tls: {insecureSkipVerify: true}}`, status("GET", "/"), [2]string{"502", "200"}, "",
	},
	"security.tls.rootCAs": {`target: $TLS`, `target: $TLS, security: {tls: {rootCAs: $CA}}`, status("GET", "/"), [2]string{"502", "200"}, ""},
	"security.tls.clientCert": {
		client("$ONE", "$KEY"), client("$TWO", "$KEY"), header("Seen-Certificate", "/"), [2]string{"one", "two"}, "",
	},
	"security.tls.clientKey": {client("$ONE", "$WRONG"), client("$ONE", "$KEY"), status("GET", "/"), [2]string{"503", "200"}, ""},

	"tls.clientAuth.mode":      {`tls: {clientAuth: {clientCA: $ONE, mode: optional}}`, `tls: {clientAuth: {clientCA: $ONE, mode: required}}`, status("GET", "/"), [2]string{"200", "403"}, ""},
	"tls.clientAuth.clientCA":  {`tls: {clientAuth: {clientCA: $ONE, mode: optional}}`, `tls: {clientAuth: {clientCA: $KEY, mode: optional}}`, status("GET", "/"), [2]string{"200", "503"}, ""},
	"tls.provider":             {`path: /`, `tls: {provider: nobody}`, status("GET", "/"), [2]string{"200", "404"}, ""},
	"tls.certificate.cert":     {`tls: {certificate: {cert: $ONE, key: $KEY}}`, `tls: {certificate: {cert: $TWO, key: $KEY}}`, certificate, [2]string{"one", "two"}, ""},
	"tls.certificate.key":      {`tls: {certificate: {cert: $ONE, key: $WRONG}}`, `tls: {certificate: {cert: $ONE, key: $KEY}}`, certificate, [2]string{selfMade, "one"}, ""},
	"tls.certificates[0].cert": {`tls: {certificates: [{cert: $ONE, key: $KEY}]}`, `tls: {certificates: [{cert: $TWO, key: $KEY}]}`, certificate, [2]string{"one", "two"}, ""},
	"tls.certificates[0].key":  {`tls: {certificates: [{cert: $ONE, key: $WRONG}]}`, `tls: {certificates: [{cert: $ONE, key: $KEY}]}`, certificate, [2]string{selfMade, "one"}, ""},

	"maintenance.enabled":    {`maintenance: {enabled: false}`, `maintenance: {enabled: true}`, status("GET", "/"), [2]string{"200", "503"}, ""},
	"maintenance.statusCode": {`maintenance: {enabled: true}`, `maintenance: {enabled: true, statusCode: 418}`, status("GET", "/"), [2]string{"503", "418"}, ""},
	"maintenance.message":    {`maintenance: {enabled: true, message: early}`, `maintenance: {enabled: true, message: late}`, mentions("early", "late"), [2]string{"early", "late"}, ""},
	"disableMetrics":         {`path: /`, `disableMetrics: true`, until(measured), [2]string{"true", "false"}, ""},
	"cors": {
		`path: /`, `cors: {origins: ["https://app.example"]}`, header("Access-Control-Allow-Origin", "/", "Origin", "https://app.example"), [2]string{"", "https://app.example"}, "",
	},
	"errorInterceptor": {
		`path: /`, `errorInterceptor: {enabled: true, contentType: text/plain, errors: [{statusCode: 500, body: caught}]}`, body("/status/500"), [2]string{"A /status/500", "caught"}, "",
	},
}

// routeShown are the settings of a route that show what they do only in time.
var routeShown = map[string]shown{
	"loadBalancing.slowStart": {"internal/gateway/upstream", "TestWhoComesBackBeginsSlowly", ""},
}

const selfMade = "GOMA DEFAULT CERT"

func weights(first int) string {
	return fmt.Sprintf("backends: [{endpoint: $A, weight: %d}, {endpoint: $B, weight: 1}]", first)
}

func canary(more string) string {
	return "backends: [{endpoint: $A}, {endpoint: $B, match: [{source: query, name: k, operator: equals, value: v}], " + more + "}]"
}

func canaries(priority int) string {
	const match = "exclusive: true, match: [{source: query, name: k, operator: equals, value: v}]"
	return fmt.Sprintf("backends: [{endpoint: $A}, {endpoint: $B, %s}, {endpoint: $C, %s, priority: %d}]", match, match, priority)
}

func matching(source, name, operator, value string) string {
	return fmt.Sprintf("backends: [{endpoint: $A}, {endpoint: $B, exclusive: true, match: [{source: %s, name: %s, operator: %s, value: %s}]}]", source, name, operator, value)
}

func pair(balancing string) string {
	return "backends: [{endpoint: $A}, {endpoint: $B}], loadBalancing: " + balancing
}

func cookie(settings string) string { return pair("{sticky: {cookie: {" + settings + "}}}") }

func judged(rules string) string {
	return "backends: [{endpoint: $A}, {endpoint: $ILL}], outlierDetection: {" + rules + "}"
}

func client(cert, key string) string {
	return fmt.Sprintf("target: $TLS, security: {tls: {rootCAs: $CA, clientCert: %s, clientKey: %s}}", cert, key)
}

// spread sees to how many backends requests with other values of X-Key go.
func spread(v *view) string { return fmt.Sprint(len(strings.Fields(shares(32)(v)))) }

// counted sees under which name requests are counted, which is done after the answer.
func counted(v *view) string {
	v.send(http.MethodGet, "/")
	return until(func(v *view) string {
		for _, name := range []string{v.name, "named"} {
			if len(v.lab.r.series(`gateway_requests_total{method="GET",name="`+name+`"}`)) > 0 && (name == v.name || v.with) {
				return map[bool]string{true: "its own", false: name}[name == v.name]
			}
		}
		return "nothing"
	})(v)
}

// measured sees whether requests are counted: the first of a connection is before its
// second one is answered.
func measured(v *view) string {
	c, err := net.Dial("tcp", v.lab.r.at.Web) //nolint:noctx // a test
	must(v.t, err)
	defer c.Close() //nolint:errcheck // a test
	request := "GET / HTTP/1.1\r\nHost: " + v.host + "\r\n"
	_, err = io.WriteString(c, request+"\r\n"+request+"Connection: close\r\n\r\n")
	must(v.t, err)
	_, err = io.Copy(io.Discard, c)
	must(v.t, err)
	return fmt.Sprint(len(v.lab.r.series(`gateway_requests_total{method="GET",name="`+v.name+`"}`)) > 0)
}

func cookieHas(part string) func(*view) string {
	return func(v *view) string {
		return fmt.Sprint(strings.Contains(v.send(http.MethodGet, "/").header.Get("Set-Cookie")+";", part))
	}
}

func mentions(words ...string) func(*view) string {
	return func(v *view) string {
		text := v.send(http.MethodGet, "/").body
		return strings.Join(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.Contains(text, w) }), " ")
	}
}

// probes sees whether the backend is asked for its health again and again.
func probes(v *view) string {
	return until(func(v *view) string {
		v.lab.mu.Lock()
		defer v.lab.mu.Unlock()
		if v.lab.counts[strings.TrimPrefix(v.own["own"], "http://")+"/probe"] > 2 {
			return "often"
		}
		return "seldom"
	})(v)
}

// ejections sees for how long the backend that fails was taken out, each time.
func ejections(v *view) string {
	return until(func(v *view) string {
		v.send(http.MethodGet, "/")
		var spans []string
		for line := range strings.Lines(v.lab.r.log.String()) {
			if strings.Contains(line, "endpoint="+v.own["ill"]) && strings.Contains(line, "taken out") {
				_, span, _ := strings.Cut(strings.TrimSpace(line), "duration=")
				spans = append(spans, span)
			}
		}
		return strings.Join(spans[:min(len(spans), len(strings.Fields(v.want)))], " ")
	})(v)
}

// held sees the answer of a backend that takes a little time, or with the setting all
// the time that it gets.
func held(path string) func(*view) string {
	return func(v *view) string {
		span := map[bool]string{false: "20ms", true: "ever"}[v.with]
		a := v.send(http.MethodGet, path+"?for="+span)
		if a.status != http.StatusOK {
			return fmt.Sprint(a.status)
		}
		return fmt.Sprint(a.status, " ", a.body)
	}
}

func seenHost(v *view) string {
	if v.send(http.MethodGet, "/").header.Get("Seen-Host") == v.host {
		return "the client's"
	}
	return "the backend's"
}

// both is a route by itself, without what all routes of the lab have.
func both(t *testing.T, l *lab, text string) *config.Route {
	t.Helper()
	v := &view{t: t, host: "h.example"}
	one := &lab{t: t, words: l.words}
	one.route(v, "r", strings.NewReplacer("$OWN", "http://o", "$ILL", "http://i", "$ONE", "one", "$TWO", "two", "$KEY", "k", "$WRONG", "w").Replace(text))
	var r config.Route
	must(t, json.Unmarshal(one.routes[0], &r))
	return &r
}

// TestEverySettingOfARouteChangesWhatItDoes runs the trials, all in one gateway. Each
// pair of routes differs in its one setting. C7, T1
func TestEverySettingOfARouteChangesWhatItDoes(t *testing.T) {
	t.Parallel()
	settings := settingsOf(reflect.TypeFor[config.Route](), "")
	if len(settings) < 50 {
		t.Fatalf("found only %d settings", len(settings))
	}
	for path, x := range routeShown {
		x.check(t, path)
	}
	complete(t, settings, trials, routeShown)
	l := newLab(t)
	views := map[string][2]*view{}
	for i, path := range settings {
		x, ok := trials[path]
		if !ok {
			continue
		}
		differs(t, path, x.want, both(t, l, x.base), both(t, l, x.with), settings)
		views[path] = l.add(fmt.Sprintf("t%d-", i), x)
	}
	l.start()
	for path, pair := range views {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			for _, v := range pair {
				v.t = t
				if got := trials[path].see(v); got != v.want {
					t.Errorf("with the setting %v: saw %q, want %q", v.with, got, v.want)
				}
			}
		})
	}
}
