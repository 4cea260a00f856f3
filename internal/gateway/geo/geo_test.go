// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter/mmdbtype"

	"gateway.jkaninda.dev/goma/internal/gateway/geo/geotest"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

func open(t *testing.T, p *pool.Pool, path string, log *slog.Logger) *Database {
	t.Helper()
	db, release, err := Open(p, path, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return db
}

func TestTheCountryIsFoundWhereverADatabaseKeepsIt(t *testing.T) { // M20
	t.Parallel()
	path := filepath.Join(t.TempDir(), "geo.mmdb")
	code := func(s string) mmdbtype.DataType { return mmdbtype.String(s) }
	geotest.Write(t, path, map[string]mmdbtype.DataType{
		"81.2.69.0/24":    mmdbtype.Map{"country": mmdbtype.Map{"iso_code": code("GB")}, "registered_country": mmdbtype.Map{"iso_code": code("US")}},
		"89.160.20.0/24":  mmdbtype.Map{"registered_country": mmdbtype.Map{"iso_code": code("SE")}},
		"175.16.199.0/24": mmdbtype.Map{"country_code": code("CN")},
		"149.101.100.0/24": mmdbtype.Map{
			"country": code("US"),
		},
		"2001:218::/32":  mmdbtype.Map{"country": mmdbtype.Map{"iso_code": code("JP")}},
		"202.196.0.0/16": mmdbtype.Map{"country": mmdbtype.Map{"iso_code": code("P\r\n")}},
		"216.160.0.0/16": mmdbtype.Map{"city": code("Milton")},
	})
	db := open(t, pool.New(), path, nil)
	for address, want := range map[string]string{
		"81.2.69.142": "GB", "::ffff:81.2.69.142": "GB", "89.160.20.1": "SE", "175.16.199.1": "CN", "149.101.100.1": "US",
		"2001:218::1": "JP", "2001:218::1%eth0": "JP", "202.196.1.1": "", "216.160.1.1": "", "8.8.8.8": "",
	} {
		if got := db.Country(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is of %q, want %q", address, got, want)
		}
	}
	if db.Country(netip.Addr{}) != "" {
		t.Error("no address has a country")
	}
}

func TestANewDatabaseIsReadAndABrokenOneLeavesTheOldInUse(t *testing.T) { // M20
	t.Parallel()
	path := filepath.Join(t.TempDir(), "geo.mmdb")
	p := pool.New()
	if _, _, err := Open(p, path, nil); err == nil || p.Len() != 0 {
		t.Fatalf("a database that does not exist: %v", err)
	}
	client := netip.MustParseAddr("81.2.69.142")
	geotest.Write(t, path, geotest.Countries(map[string]string{"81.2.69.0/24": "GB"}))
	db := open(t, p, path, nil)
	geotest.Write(t, path, geotest.Countries(map[string]string{"81.2.69.0/24": "FR"}))
	if open(t, p, path, nil) != db || db.Country(client) != "FR" {
		t.Errorf("after an update the country is %s", db.Country(client))
	}
	var log bytes.Buffer
	if err := os.WriteFile(path, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if open(t, p, path, slog.New(slog.NewTextHandler(&log, nil))); db.Country(client) != "FR" || !strings.Contains(log.String(), "stays in use") {
		t.Errorf("after a broken update the country is %s, and the log says %s", db.Country(client), &log)
	}
	geotest.Write(t, path, geotest.Countries(map[string]string{"81.2.69.0/24": "DE"}))
	if open(t, p, path, nil); db.Country(client) != "DE" {
		t.Errorf("after a repaired update the country is %s", db.Country(client))
	}
}

func TestADatabaseOfSomethingElseIsRefused(t *testing.T) { // M20
	t.Parallel()
	path := filepath.Join(t.TempDir(), "asn.mmdb")
	geotest.Write(t, path, map[string]mmdbtype.DataType{"81.2.69.0/24": mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(1)}})
	if _, _, err := Open(pool.New(), path, nil); err == nil || !strings.Contains(err.Error(), "holds no countries") {
		t.Error(err)
	}
}

func BenchmarkCountry(b *testing.B) {
	path := filepath.Join(b.TempDir(), "geo.mmdb")
	geotest.Write(b, path, geotest.Countries(map[string]string{"81.2.69.0/24": "GB"}))
	db, release, err := Open(pool.New(), path, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer release()
	client := netip.MustParseAddr("81.2.69.142")
	b.ReportAllocs()
	for b.Loop() {
		db.Country(client)
	}
}
