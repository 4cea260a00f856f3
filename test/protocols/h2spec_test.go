// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package protocols

import (
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// How many cases h2spec has; fewer means that some were not run.
const h2specCases = 145

// What is known to fail, and why. A case that passes has to leave the list.
var (
	h2specKnown = map[string]string{}
	// An entry point without TLS speaks HTTP/1.1 as well.
	h2specKnownPlain = map[string]string{
		"http2/3.5/2": "what is no preface of HTTP/2 is a request of HTTP/1.1, and a malformed one is answered 400 (H3)",
	}
)

type h2specReport struct {
	Suites []struct {
		Package string `xml:"package,attr"`
		Cases   []struct {
			Name    string    `xml:"classname,attr"`
			Skipped *struct{} `xml:"skipped"`
			Failure *struct {
				Text string `xml:",chardata"`
			} `xml:"failure"`
			Error *struct {
				Text string `xml:",chardata"`
			} `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// buildH2spec builds the program from the module that pins it.
func buildH2spec(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "h2spec")
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=readonly", "-o", path, "github.com/summerwind/h2spec/cmd/h2spec")
	build.Dir = "h2spec"
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("building h2spec: %v\n%s", err, out)
	}
	return path
}

func TestH2spec(t *testing.T) {
	t.Parallel()
	h2spec := buildH2spec(t)
	b := backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("goma", 256))
	})
	g := serve(t, to(b.URL))
	for name, c := range map[string]struct {
		address string
		args    []string
		known   []map[string]string
	}{
		"by ALPN":              {g.Secure, []string{"-t", "-k"}, []map[string]string{h2specKnown}},
		"with prior knowledge": {g.Web, nil, []map[string]string{h2specKnown, h2specKnownPlain}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h2specRun(t, h2spec, c.address, c.args, c.known)
		})
	}
}

func h2specRun(t *testing.T, h2spec, address string, args []string, lists []map[string]string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	must(t, err)
	file := filepath.Join(t.TempDir(), "junit.xml")
	// It ends with 1 when a case fails; the report tells which.
	out, _ := attempt(t, nil, h2spec, append(args, "-h", host, "-p", port, "-o", "5", "-j", file)...)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var report h2specReport
	must(t, xml.Unmarshal(data, &report))
	known := map[string]string{}
	for _, list := range lists {
		for id, why := range list {
			known[id] = why
		}
	}
	ran := 0
	for _, suite := range report.Suites {
		for i, c := range suite.Cases {
			ran++
			id := fmt.Sprintf("%s/%d", suite.Package, i+1)
			failed := c.Failure != nil || c.Error != nil || c.Skipped != nil
			if _, listed := known[id]; failed == listed {
				delete(known, id)
				continue
			}
			if !failed {
				t.Errorf("%s (%s) passes now: take it off the list", id, c.Name)
				delete(known, id)
				continue
			}
			t.Errorf("%s: %s\n%+v", id, c.Name, c)
		}
	}
	if ran != h2specCases {
		t.Errorf("%d cases were run, of %d", ran, h2specCases)
	}
	for id := range known {
		t.Errorf("there is no case %s", id)
	}
	if t.Failed() {
		t.Log(out)
	}
}
