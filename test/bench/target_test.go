// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway"
)

// rendered writes the files of a target for a scenario.
func rendered(t *testing.T, name string, s Scenario) string {
	t.Helper()
	b := &bench{dir: t.TempDir()}
	for i := range targets {
		if targets[i].Name != name {
			continue
		}
		settings, err := b.settings(&s, name, "127.0.0.1:9000")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(settings.Dir, "certs"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := writeCertificate(b.dir); err != nil {
			t.Fatal(err)
		}
		target := &instance{Target: &targets[i], settings: settings}
		if err := target.render(); err != nil {
			t.Fatal(err)
		}
		return settings.Dir
	}
	t.Fatalf("no target is called %s", name)
	return ""
}

func TestEveryScenarioIsAValidConfigurationOfTheGateway(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		s = s.withDefaults()
		s.Routes = min(s.Routes, 20)
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(rendered(t, "goma", s), "goma.yml")
			problems, err := gateway.Check(file, true)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				if p.Severity == config.SeverityError {
					t.Error(p)
				}
			}
			loaded, _, err := gateway.LoadFile(file, true)
			if err != nil || len(loaded.Gateway.Routes) != s.Routes {
				t.Fatalf("%d routes instead of %d: %v", len(loaded.Gateway.Routes), s.Routes, err)
			}
		})
	}
}

func TestEveryScenarioIsJSONForCaddyAndHasAllRoutesForTheOthers(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		s = s.withDefaults()
		s.Routes = min(s.Routes, 20)
		text, err := os.ReadFile(filepath.Join(rendered(t, "caddy", s), "caddy.json"))
		if err != nil || !json.Valid(text) {
			t.Errorf("%s: %v: not JSON:\n%s", s.Name, err, text)
		}
		for target, file := range map[string]string{"nginx": "nginx.conf", "haproxy": "haproxy.cfg"} {
			text, err := os.ReadFile(filepath.Join(rendered(t, target, s), file))
			if err != nil {
				t.Fatal(err)
			}
			key := map[string]string{"nginx": "proxy_pass http://origin", "haproxy": "\nbackend "}[target]
			if got := strings.Count(string(text), key); got != s.Routes {
				t.Errorf("%s: %s has %d routes instead of %d", s.Name, target, got, s.Routes)
			}
		}
	}
}
