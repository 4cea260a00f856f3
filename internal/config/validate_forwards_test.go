// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

func TestForwardsAreChecked(t *testing.T) { // G6
	t.Parallel()
	const at = "gateway.entryPoints.passThrough.forwards[0]"
	good := Forward{Protocol: "tcp", Port: 5432, Target: "db:5432"}
	change := func(f func(*Forward)) []Forward {
		w := good
		f(&w)
		return []Forward{w}
	}
	headers := func(h ForwardProxyProtocol) []Forward { return change(func(w *Forward) { w.ProxyProtocol = &h }) }
	for name, c := range map[string]struct {
		forwards []Forward
		proxy    Proxy
		field    string // of the only problem; empty where there is none
		says     string
	}{
		"a forward":                  {forwards: []Forward{good}},
		"both protocols on one port": {forwards: []Forward{good, {Protocol: "udp", Port: 5432, Target: "db:5432"}}},
		"an unknown protocol":        {forwards: change(func(w *Forward) { w.Protocol = "sctp" }), field: at + ".protocol", says: "tcp/udp"},
		"no port":                    {forwards: change(func(w *Forward) { w.Port = 0 }), field: at + ".port", says: "1 to 65535"},
		"no target":                  {forwards: change(func(w *Forward) { w.Target = "" }), field: at + ".target", says: "host:port"},
		"a negative time":            {forwards: change(func(w *Forward) { w.Timeout = -1 }), field: at + ".timeout", says: "negative"},
		"negative bounds":            {forwards: change(func(w *Forward) { w.MaxConnections = -1 }), field: at + ".maxConnections", says: "negative"},
		"a client's negative bound":  {forwards: change(func(w *Forward) { w.MaxConnectionsPerClient = -1 }), field: at + ".maxConnectionsPerClient", says: "negative"},
		"a client's bound for datagrams": {forwards: change(func(w *Forward) {
			w.Protocol, w.MaxConnectionsPerClient = "udp", 1
		}), field: at + ".maxConnectionsPerClient", says: "is for TCP"},
		"its own port":                      {forwards: change(func(w *Forward) { w.Target = "[::1]:5432" }), field: at + ".target", says: "the port itself"},
		"its own port by name":              {forwards: change(func(w *Forward) { w.Target = "localhost:5432" }), field: at + ".target", says: "the port itself"},
		"another port of this host":         {forwards: change(func(w *Forward) { w.Target = "127.0.0.1:5433" })},
		"a port twice":                      {forwards: []Forward{good, good}, field: "gateway.entryPoints.passThrough.forwards[1].port", says: at},
		"a port twice, once as one of both": {forwards: []Forward{good, {Protocol: "tcp/udp", Port: 5432, Target: "x:1"}}, field: "gateway.entryPoints.passThrough.forwards[1].port", says: "tcp port 5432"},
		"a header to the target":            {forwards: headers(ForwardProxyProtocol{Send: "v2"})},
		"a header of no version":            {forwards: headers(ForwardProxyProtocol{Send: "2"}), field: at + ".proxyProtocol.send", says: "v1 nor v2"},
		"headers of listed proxies":         {forwards: headers(ForwardProxyProtocol{Accept: true, TrustedProxies: []string{"10.0.0.0/8", "192.0.2.1"}})},
		"headers of a name":                 {forwards: headers(ForwardProxyProtocol{Accept: true, TrustedProxies: []string{"lb"}}), field: at + ".proxyProtocol.trustedProxies[0]", says: "neither"},
		"headers of nobody":                 {forwards: headers(ForwardProxyProtocol{Accept: true}), field: at + ".proxyProtocol.trustedProxies", says: "nobody is trusted"},
		"headers of the gateway's proxies":  {forwards: headers(ForwardProxyProtocol{Accept: true}), proxy: Proxy{Enabled: true, TrustedProxies: []string{"10.0.0.0/8"}}},
		"proxies that are not believed":     {forwards: headers(ForwardProxyProtocol{Accept: true}), proxy: Proxy{TrustedProxies: []string{"10.0.0.0/8"}}, field: at + ".proxyProtocol.trustedProxies", says: "nobody is trusted"},
		"headers for datagrams": {forwards: change(func(w *Forward) {
			w.Protocol, w.ProxyProtocol = "udp", &ForwardProxyProtocol{Send: "v1"}
		}), field: at + ".proxyProtocol", says: "without headers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &File{}
			f.Gateway.EntryPoints.PassThrough.Forwards, f.Gateway.Proxy = c.forwards, c.proxy
			problems := ValidateFile(f)
			if c.field == "" {
				if len(problems) > 0 {
					t.Errorf("problems %v", problems)
				}
				return
			}
			if len(problems) != 1 || problems[0].Field != c.field || !strings.Contains(problems[0].Message, c.says) {
				t.Errorf("problems %v, want one of %s that says %q", problems, c.field, c.says)
			}
		})
	}
}

func TestTheProxyProtocolOfEntryPointsIsChecked(t *testing.T) { // G6
	t.Parallel()
	accept := &ProxyProtocol{Accept: true}
	for name, c := range map[string]struct {
		points EntryPoints
		proxy  Proxy
		field  string
	}{
		"nobody is trusted":            {points: EntryPoints{Web: EntryPoint{ProxyProtocol: accept}}, field: "gateway.entryPoints.web.proxyProtocol.trustedProxies"},
		"nobody is trusted, over TLS":  {points: EntryPoints{WebSecure: EntryPoint{ProxyProtocol: accept}}, field: "gateway.entryPoints.webSecure.proxyProtocol.trustedProxies"},
		"the gateway's own proxies":    {points: EntryPoints{Web: EntryPoint{ProxyProtocol: accept}}, proxy: Proxy{Enabled: true, TrustedProxies: []string{"10.0.0.0/8"}}},
		"a list":                       {points: EntryPoints{Web: EntryPoint{ProxyProtocol: &ProxyProtocol{Accept: true, TrustedProxies: []string{"10.0.0.1"}}}}},
		"a list with a name":           {points: EntryPoints{Web: EntryPoint{ProxyProtocol: &ProxyProtocol{Accept: true, TrustedProxies: []string{"lb"}}}}, field: "gateway.entryPoints.web.proxyProtocol.trustedProxies[0]"},
		"switched off":                 {points: EntryPoints{Web: EntryPoint{ProxyProtocol: &ProxyProtocol{}}}},
		"a negative bound":             {points: EntryPoints{Admin: EntryPoint{MaxConnections: -1}}, field: "gateway.entryPoints.admin.maxConnections"},
		"a client's negative bound":    {points: EntryPoints{Web: EntryPoint{MaxConnectionsPerClient: -1}}, field: "gateway.entryPoints.web.maxConnectionsPerClient"},
		"bounds and a protocol":        {points: EntryPoints{Web: EntryPoint{MaxConnections: 9, MaxConnectionsPerClient: 3, Upgrades: []string{"mqtt", "SPDY/3.1"}}}},
		"a tunnel for requests":        {points: EntryPoints{Web: EntryPoint{Upgrades: []string{"H2C"}}}, field: "gateway.entryPoints.web.upgrades[0]"},
		"a tunnel for TLS":             {points: EntryPoints{WebSecure: EntryPoint{Upgrades: []string{"mqtt", "TLS/1.0"}}}, field: "gateway.entryPoints.webSecure.upgrades[1]"},
		"two protocols in one":         {points: EntryPoints{Web: EntryPoint{Upgrades: []string{"a, b"}}}, field: "gateway.entryPoints.web.upgrades[0]"},
		"a protocol without a name":    {points: EntryPoints{Web: EntryPoint{Upgrades: []string{""}}}, field: "gateway.entryPoints.web.upgrades[0]"},
		"a tunnel of the admin":        {points: EntryPoints{Admin: EntryPoint{Upgrades: []string{"mqtt"}}}, field: "gateway.entryPoints.admin.upgrades"},
		"on the listener of the admin": {points: EntryPoints{Admin: EntryPoint{ProxyProtocol: &ProxyProtocol{}}}, field: "gateway.entryPoints.admin.proxyProtocol"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &File{}
			f.Gateway.EntryPoints, f.Gateway.Proxy = c.points, c.proxy
			problems := ValidateFile(f)
			if c.field == "" && len(problems) > 0 || c.field != "" && (len(problems) != 1 || problems[0].Field != c.field) {
				t.Errorf("problems %v, want one of %q", problems, c.field)
			}
		})
	}
}
