// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package geotest writes databases of countries for tests.
package geotest

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// Countries are networks with their codes, in the form of GeoLite2 Country.
func Countries(networks map[string]string) map[string]mmdbtype.DataType {
	out := map[string]mmdbtype.DataType{}
	for network, code := range networks {
		out[network] = mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
	}
	return out
}

// Write writes a database to a path, as updates do: beside it, and renamed.
func Write(t testing.TB, path string, records map[string]mmdbtype.DataType) {
	t.Helper()
	if err := File(path, records); err != nil {
		t.Fatal(err)
	}
}

// File is Write where there is no test yet.
func File(path string, records map[string]mmdbtype.DataType) error {
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-Country", IncludeReservedNetworks: true})
	if err != nil {
		return err
	}
	for text, record := range records {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			return err
		}
		if err := tree.Insert(network, record); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "geo")
	if err != nil {
		return err
	}
	if _, err := tree.WriteTo(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
