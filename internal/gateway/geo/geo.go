// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package geo tells the country of an address, from a database in the format of
// MaxMind: GeoLite2 and GeoIP2 Country or City, DB-IP, IPinfo and the like.
//
// The database is held in memory and not mapped from its file, so that a file that
// is overwritten in place cannot end the process. It is read once for all who use
// it, and again when its file has changed; a new one that cannot be read leaves the
// one before in use.
package geo

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"github.com/oschwald/maxminddb-golang/v2"

	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// Database tells countries. It is safe for concurrent use.
type Database struct {
	path    string
	current atomic.Pointer[maxminddb.Reader]

	mu   sync.Mutex
	seen source.Identity
}

type databaseKey struct{ path string }

// Open gives the database at a path. Where it is open already and its file has
// changed, it is read again. The caller calls release when it is done.
func Open(p *pool.Pool, path string, log *slog.Logger) (db *Database, release func(), err error) {
	db, release, err = pool.Get(p, databaseKey{path}, func() (*Database, error) {
		db := &Database{path: path}
		return db, db.refresh()
	})
	if err != nil {
		return nil, nil, err
	}
	if err := db.refresh(); err != nil && log != nil {
		log.Warn("the new database of countries cannot be read; the one before stays in use", "path", path, "err", err)
	}
	return db, release, nil
}

// refresh reads the file if it is another one than before. A file that cannot be
// read is not tried again until it changes.
func (d *Database) refresh() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Noted before reading, so that a change in between is seen as one.
	now := source.Identify(d.path)
	if now == d.seen && d.current.Load() != nil {
		return nil
	}
	d.seen = now
	data, err := os.ReadFile(d.path)
	if err != nil {
		return fmt.Errorf("reading the database of countries: %w", err)
	}
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return fmt.Errorf("reading the database of countries %s: %w", d.path, err)
	}
	if !tellsCountries(reader) {
		return fmt.Errorf("reading the database of countries %s: %w", d.path, errNoCountries)
	}
	d.current.Store(reader)
	return nil
}

var errNoCountries = errors.New("holds no countries; use a Country or City database")

// tellsCountries looks for a country among the first networks: a database of
// something else would make every client unknown.
func tellsCountries(r *maxminddb.Reader) bool {
	const enough = 10_000
	n := 0
	for result := range r.Networks() {
		if code := countryOf(result); code != "" {
			return true
		}
		if n++; n > enough {
			return false
		}
	}
	return false
}

// Country gives the code of two upper-case letters of an address' country (ISO
// 3166-1), or of the country in which it is registered; empty when neither is known.
func (d *Database) Country(a netip.Addr) string {
	r := d.current.Load()
	if r == nil || !a.IsValid() {
		return ""
	}
	return countryOf(r.Lookup(a.Unmap().WithZone("")))
}

// places are where databases keep the code.
var places = [][]any{{"country", "iso_code"}, {"registered_country", "iso_code"}, {"country_code"}, {"country"}}

func countryOf(result maxminddb.Result) string {
	if !result.Found() {
		return ""
	}
	for _, path := range places {
		var code string
		if err := result.DecodePath(&code, path...); err == nil && isCode(code) {
			return code
		}
	}
	return ""
}

// isCode keeps anything else out of headers and labels. P9
func isCode(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}
