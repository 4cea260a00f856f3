// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
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
		"enable-http2", "namespace", "watch-namespaces", "kubeconfig", "log-level"} {
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

// The manifests that install the operator start it with flags that it has.
func TestManifestsUseFlagsThatAreThere(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../internal/tools/helm/testdata/*.golden.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden files %v, %v", files, err)
	}
	for _, file := range append(files, "../../deploy/kustomize/base/operator.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var args []string
		for _, m := range regexp.MustCompile(`(?m)^ +- "?(--[^"\n]+)"?$`).FindAllStringSubmatch(string(text), -1) {
			args = append(args, m[1])
		}
		var f flags
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		f.register(set)
		if err := set.Parse(args); err != nil || len(args) < 4 || !f.LeaderElection {
			t.Errorf("%s: %v gives %+v, %v", file, args, f, err)
		}
		if err := f.Validate(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if strings.Contains(file, "namespaces.golden") && !slices.Equal(f.Namespaces, []string{"team-a", "team-b"}) {
			t.Errorf("%s: namespaces %v", file, f.Namespaces)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if out, err := execute(t, "version"); err != nil || strings.TrimSpace(out) == "" {
		t.Errorf("%q, %v", out, err)
	}
}
