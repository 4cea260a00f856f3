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
}
