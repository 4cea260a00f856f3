// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/libdns/libdns"
	"github.com/miekg/dns"
)

// rfc2136 sends signed updates to the primary server of a zone.
type rfc2136 struct {
	server              string
	key, secret, method string
}

// newRFC2136 takes RFC2136_NAMESERVER, and for signed updates RFC2136_TSIG_KEY,
// RFC2136_TSIG_SECRET (or apiToken) and RFC2136_TSIG_ALGORITHM.
func newRFC2136(keys Keys) (certmagic.DNSProvider, error) {
	server, err := first(keys, "RFC2136_NAMESERVER")
	if err != nil {
		return nil, err
	}
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(strings.Trim(server, "[]"), "53")
	}
	p := &rfc2136{server: server, method: dns.HmacSHA256}
	if p.key = keys("RFC2136_TSIG_KEY"); p.key == "" {
		return p, nil
	}
	p.key = dns.Fqdn(strings.ToLower(p.key))
	if p.secret, err = first(keys, "RFC2136_TSIG_SECRET", "apiToken"); err != nil {
		return nil, err
	}
	if method := keys("RFC2136_TSIG_ALGORITHM"); method != "" {
		p.method = dns.Fqdn(strings.ToLower(method))
	}
	return p, nil
}

// AppendRecords implements libdns.RecordAppender.
func (p *rfc2136) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, p.update(ctx, zone, records, (*dns.Msg).Insert)
}

// DeleteRecords implements libdns.RecordDeleter.
func (p *rfc2136) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, p.update(ctx, zone, records, (*dns.Msg).Remove)
}

const updateTime = 20 * time.Second

func (p *rfc2136) update(ctx context.Context, zone string, records []libdns.Record, change func(*dns.Msg, []dns.RR)) error {
	m := new(dns.Msg)
	m.SetUpdate(dns.Fqdn(zone))
	var list []dns.RR
	for _, r := range records {
		rr := r.RR()
		if rr.Type != "TXT" {
			return errors.New("only TXT records are changed")
		}
		list = append(list, &dns.TXT{
			Hdr: dns.RR_Header{
				Name: libdns.AbsoluteName(rr.Name, dns.Fqdn(zone)), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: uint32(rr.TTL.Seconds()),
			},
			Txt: []string{rr.Data},
		})
	}
	change(m, list)
	client := &dns.Client{Net: "tcp", Timeout: updateTime}
	if p.key != "" {
		m.SetTsig(p.key, p.method, 300, time.Now().Unix())
		client.TsigSecret = map[string]string{p.key: p.secret}
	}
	answer, _, err := client.ExchangeContext(ctx, m, p.server)
	if err != nil {
		return fmt.Errorf("updating the zone %s at %s: %w", zone, p.server, err)
	}
	if answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("updating the zone %s at %s: the server answers %s", zone, p.server, dns.RcodeToString[answer.Rcode])
	}
	return nil
}
