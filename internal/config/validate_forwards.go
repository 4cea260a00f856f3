// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// forwards checks the ports that are passed through.
func (f *findings) forwards(g *Gateway) {
	taken := map[string]string{}
	list := g.EntryPoints.PassThrough.Forwards
	for i := range list {
		w := &list[i]
		at := fmt.Sprintf("gateway.entryPoints.passThrough.forwards[%d]", i)
		f.required(at+".protocol", w.Protocol, []string{"tcp", "udp", "tcp/udp"})
		if w.Port < 1 || w.Port > 65535 {
			f.invalid(at+".port", "%d is not a port of 1 to 65535", w.Port)
		}
		for protocol := range strings.SplitSeq(w.Protocol, "/") {
			key := fmt.Sprintf("%s port %d", protocol, w.Port)
			if first, ok := taken[key]; ok {
				f.invalid(at+".port", "%s is forwarded by %s already; give one of them another port", key, first)
				break
			}
			taken[key] = at
		}
		f.forwardTarget(at+".target", w)
		f.notNegative(at+".timeout", w.Timeout)
		f.notNegative(at+".maxConnections", w.MaxConnections)
		f.notNegative(at+".maxConnectionsPerClient", w.MaxConnectionsPerClient)
		if w.Protocol == "udp" && w.MaxConnectionsPerClient > 0 {
			f.warn(at+".maxConnectionsPerClient", "is for TCP; addresses of datagrams can be forged, so no client is counted by them")
		}
		f.forwardHeaders(at+".proxyProtocol", w, g.Proxy)
	}
}

// forwardTarget refuses what is no address, and what is the port itself: each
// connection would make another one.
func (f *findings) forwardTarget(field string, w *Forward) {
	host, port, err := net.SplitHostPort(w.Target)
	if err != nil || host == "" || !validPort(port) || port == "" {
		f.invalid(field, "%q is not host:port", w.Target)
		return
	}
	a, err := netip.ParseAddr(host)
	own := err == nil && (a.IsLoopback() || a.IsUnspecified()) || strings.EqualFold(host, "localhost")
	if own && port == strconv.Itoa(w.Port) {
		f.invalid(field, "%q is the port itself; name the server behind it", w.Target)
	}
}

// forwardHeaders checks who sends headers of the PROXY protocol, and who gets them.
func (f *findings) forwardHeaders(field string, w *Forward, proxy Proxy) {
	p := w.ProxyProtocol
	if p == nil {
		return
	}
	if !slices.Contains([]string{"", "v1", "v2"}, p.Send) {
		f.invalid(field+".send", "%q is neither v1 nor v2", p.Send)
	}
	f.proxyProtocol(field, ProxyProtocol{Accept: p.Accept, TrustedProxies: p.TrustedProxies}, proxy)
	if w.Protocol != "tcp" && (p.Accept || p.Send != "") {
		f.warn(field, "is for TCP; datagrams are forwarded without headers")
	}
}

// proxyProtocol checks whose headers are believed.
func (f *findings) proxyProtocol(field string, p ProxyProtocol, proxy Proxy) {
	f.ranges(field+".trustedProxies", p.TrustedProxies)
	if len(p.TrustedProxies) == 0 && p.Accept && (!proxy.Enabled || len(proxy.TrustedProxies) == 0) {
		f.invalid(field+".trustedProxies", "is empty, so nobody is trusted and no header would be believed; list your load balancers")
	}
}

// points checks the entry points.
func (f *findings) points(g *Gateway) {
	points := &g.EntryPoints
	for _, x := range []struct {
		name  string
		point *EntryPoint
	}{{"web", &points.Web}, {"webSecure", &points.WebSecure}, {"admin", &points.Admin}} {
		at := "gateway.entryPoints." + x.name
		f.address(at+".address", x.point.Address)
		f.notNegative(at+".maxConnections", x.point.MaxConnections)
		f.notNegative(at+".maxConnectionsPerClient", x.point.MaxConnectionsPerClient)
		f.upgrades(at+".upgrades", x.point.Upgrades)
	}
	f.entryPointHeaders(g)
}

// upgrades checks the protocols that connections may change to. Those that carry
// requests would be a way past all middlewares. H5
func (f *findings) upgrades(field string, list []string) {
	for i, token := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		name, _, _ := strings.Cut(strings.ToLower(token), "/")
		switch {
		case token == "" || strings.ContainsFunc(token, noUpgradeChar):
			f.invalid(at, "%q is not the name of a protocol; write it like mqtt or name/1.0", token)
		case slices.Contains([]string{"h2", "h2c", "h3", "http", "https", "tls"}, name):
			f.invalid(at, "%s cannot be allowed: what comes on such a connection would be seen by no middleware; remove it", token)
		}
	}
}

// noUpgradeChar tells what is neither of a token (RFC 9110 §5.6.2) nor the slash before
// a version.
func noUpgradeChar(r rune) bool {
	return r != '/' && (r <= ' ' || r > '~' || strings.ContainsRune("\"(),:;<=>?@[\\]{}", r))
}

// entryPointHeaders checks the PROXY protocol of entry points.
func (f *findings) entryPointHeaders(g *Gateway) {
	points := g.EntryPoints
	if p := points.Web.ProxyProtocol; p != nil {
		f.proxyProtocol("gateway.entryPoints.web.proxyProtocol", *p, g.Proxy)
	}
	if p := points.WebSecure.ProxyProtocol; p != nil {
		f.proxyProtocol("gateway.entryPoints.webSecure.proxyProtocol", *p, g.Proxy)
	}
	if points.Admin.ProxyProtocol != nil {
		f.invalid("gateway.entryPoints.admin.proxyProtocol", "is not for the admin listener, which is asked directly; remove it")
	}
	if len(points.Admin.Upgrades) > 0 {
		f.invalid("gateway.entryPoints.admin.upgrades", "is not for the admin listener, which passes nothing on; remove it")
	}
}
