// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build examples

// Package examples runs the goma binary, as a user would, on every file of the
// folder examples, and on manifests that are broken.
package examples

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/geo/geotest"
	"gateway.jkaninda.dev/goma/internal/schema"
	"gateway.jkaninda.dev/goma/test/peers/program"
)

// The binary, the folder with the examples, and the schemas.
var (
	binary    string
	folder    string
	validator *schema.Validator
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "examples-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	if folder, err = filepath.Abs("../../examples"); err == nil {
		validator, err = schema.New()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := countries(filepath.Join(dir, "countries.mmdb")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if binary, err = program.Build(dir, "goma"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// countries writes a database of countries and names it to every gateway. Clients
// of the examples come from this machine, which is in no country.
func countries(path string) error {
	if err := geotest.File(path, geotest.Countries(map[string]string{"192.0.2.0/24": "SE"})); err != nil {
		return err
	}
	return os.Setenv("GOMA_GEOIP_DB", path)
}
