// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/libdns/libdns"
)

// text is one TXT record. Zone and fqdn are without the last dot; name is what is
// before the zone, @ for the zone itself.
type text struct {
	zone, name, fqdn, value string
	ttl                     time.Duration
}

var errNotText = errors.New("only TXT records are changed")

func textOf(zone string, record libdns.Record) (text, error) {
	rr := record.RR()
	if rr.Type != "TXT" {
		return text{}, errNotText
	}
	zone = strings.TrimSuffix(zone, ".")
	fqdn := strings.TrimSuffix(libdns.AbsoluteName(rr.Name, zone+"."), ".")
	name := rr.Name
	if name == "" {
		name = "@"
	}
	return text{zone: zone, name: name, fqdn: fqdn, value: rr.Data, ttl: rr.TTL}, nil
}

// seconds gives the time that a record may be remembered, but not less than a
// provider takes.
func (t text) seconds(least int) int { return max(int(t.ttl.Seconds()), least) }

// single is a provider that adds and removes records one by one.
type single interface {
	add(ctx context.Context, t text) error
	remove(ctx context.Context, t text) error
}

// singles makes a provider of libdns of it.
type singles struct{ single }

var _ certmagic.DNSProvider = singles{}

// AppendRecords implements libdns.RecordAppender.
func (s singles) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, each(zone, records, func(t text) error { return s.add(ctx, t) })
}

// DeleteRecords implements libdns.RecordDeleter.
func (s singles) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, each(zone, records, func(t text) error { return s.remove(ctx, t) })
}

func each(zone string, records []libdns.Record, do func(text) error) error {
	for _, r := range records {
		t, err := textOf(zone, r)
		if err == nil {
			err = do(t)
		}
		if err != nil {
			return fmt.Errorf("the TXT record of %s: %w", t.fqdn, err)
		}
	}
	return nil
}

// set is a provider whose records of one name are one thing.
type set interface {
	// get gives the values; none is no error.
	get(ctx context.Context, t text) ([]string, error)
	// put replaces old by values. Without values the set goes.
	put(ctx context.Context, t text, old, values []string) error
}

// sets makes a single of it. A name and its wildcard have the same record, so only
// one change is made at a time.
type sets struct {
	set

	mu sync.Mutex
}

func (s *sets) add(ctx context.Context, t text) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.get(ctx, t)
	if err != nil || slices.Contains(old, t.value) {
		return err
	}
	return s.put(ctx, t, old, append(slices.Clone(old), t.value))
}

func (s *sets) remove(ctx context.Context, t text) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.get(ctx, t)
	if err != nil || !slices.Contains(old, t.value) {
		return err
	}
	return s.put(ctx, t, old, slices.DeleteFunc(slices.Clone(old), func(v string) bool { return v == t.value }))
}

func ofSet(s set) certmagic.DNSProvider { return singles{&sets{set: s}} }

// quoted and unquoted are the two ways of providers to write a text.
func quoted(value string) string   { return `"` + value + `"` }
func unquoted(value string) string { return strings.Trim(value, `"`) }
