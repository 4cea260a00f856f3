// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/proxyprotocol"
)

// The idle times that hold where a forward names none.
const (
	defaultTCPIdle = time.Hour
	defaultUDPIdle = 5 * time.Minute
)

// Port is where a rule listens: a number of one protocol, tcp or udp.
type Port struct {
	Protocol string
	Number   int
}

// String gives tcp/5432.
func (p Port) String() string { return p.Protocol + "/" + strconv.Itoa(p.Number) }

// Rule is one port and where it leads.
type Rule struct {
	Port Port
	// Target is host:port. A name is looked up for each connection.
	Target string
	// Idle is how long nobody may send anything.
	Idle time.Duration
	// Accept are the peers that must begin with a PROXY protocol header. Nobody
	// must, and nobody may, in the zero value. TCP only.
	Accept proxyprotocol.Peers
	// Send is the version of the header that the target gets first; 0 is none. TCP
	// only.
	Send proxyprotocol.Version
	// MaxConns bounds the connections, or the sessions of UDP; MaxClientConns those of
	// one client, TCP only.
	MaxConns, MaxClientConns int
	// Field is where the rule is written, for problems.
	Field string
}

const fieldForwards = "gateway.entryPoints.passThrough.forwards"

// Rules makes rules of settings that config has found no fault with; tcp/udp makes
// two. What is not as it should be all the same is left out.
func Rules(g *config.Gateway) (rules []Rule) {
	taken := map[Port]bool{}
	for i := range g.EntryPoints.PassThrough.Forwards {
		f := &g.EntryPoints.PassThrough.Forwards[i]
		for protocol := range strings.SplitSeq(f.Protocol, "/") {
			r := Rule{
				Port: Port{protocol, f.Port}, Target: f.Target, Field: fmt.Sprintf("%s[%d]", fieldForwards, i),
				MaxConns: f.MaxConnections, MaxClientConns: f.MaxConnectionsPerClient,
			}
			if taken[r.Port] || !r.complete(g, f) {
				continue
			}
			taken[r.Port] = true
			rules = append(rules, r)
		}
	}
	return rules
}

// complete fills in what depends on the protocol; false means that the rule is of
// no use.
func (r *Rule) complete(g *config.Gateway, f *config.Forward) bool {
	r.Idle = time.Duration(f.Timeout) * time.Second
	switch r.Port.Protocol {
	case "tcp":
		r.Idle = orDefault(r.Idle, defaultTCPIdle)
		return r.headers(g, f.ProxyProtocol)
	case "udp":
		r.Idle = orDefault(r.Idle, defaultUDPIdle)
		return true
	}
	return false
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// headers reads who sends headers of the PROXY protocol, and whether the target
// gets one. A rule whose senders cannot be told is of no use: it would forward
// their headers as data.
func (r *Rule) headers(g *config.Gateway, p *config.ForwardProxyProtocol) bool {
	if p == nil {
		return true
	}
	var known bool
	if r.Send, known = versions[p.Send]; !known {
		return false
	}
	if !p.Accept {
		return true
	}
	var err error
	r.Accept, err = proxyprotocol.Configured(p.TrustedProxies, g.Proxy)
	return err == nil
}

var versions = map[string]proxyprotocol.Version{"": 0, "v1": proxyprotocol.V1, "v2": proxyprotocol.V2}

func problem(reason config.Reason, field, message string) config.Problem {
	return config.Problem{Object: config.ObjectRef{Kind: "Gateway"}, Field: field, Reason: reason, Message: message}
}
