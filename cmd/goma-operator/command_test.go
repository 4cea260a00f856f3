// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
)

func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := newCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestHelpNamesEveryDocumentedFlag(t *testing.T) {
	t.Parallel()
	out, err := execute(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"metrics-bind-address", "health-probe-bind-address", "leader-elect", "metrics-secure",
		"enable-http2", "namespace", "kubeconfig", "log-level"} {
		if !strings.Contains(out, "--"+flag) {
			t.Errorf("help does not mention --%s", flag)
		}
	}
	if strings.Contains(out, "zap") {
		t.Error("help mentions flags without effect")
	}
}

func TestMistakesOnTheCommandLineAreNamed(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"log level":                   {"--log-level=loud"},
		"finding the API server":      {"--kubeconfig=/does/not/exist"},
		"unknown flag":                {"--nonsense"},
		`unknown command "something"`: {"something"},
	} {
		if _, err := execute(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

// An existing Deployment of an earlier release starts with its flags.
func TestFlagsOfEarlierReleasesAreAccepted(t *testing.T) {
	t.Parallel()
	cmd := newCommand()
	err := cmd.ParseFlags([]string{"--metrics-bind-address=:8443", "--leader-elect", "--health-probe-bind-address=:8081",
		"--zap-log-level=debug", "--zap-devel=false", "--zap-encoder=json"})
	if err != nil {
		t.Fatal(err)
	}
	if got := cmd.Flags().Lookup("log-level").Value.String(); got != "debug" {
		t.Errorf("log level %q, want debug", got)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if out, err := execute(t, "version"); err != nil || strings.TrimSpace(out) == "" {
		t.Errorf("%q, %v", out, err)
	}
}
