// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package program

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// Gateway is a goma-gateway that serves: one replica.
type Gateway struct {
	*Process

	// Web, Secure and Admin are where its entry points listen.
	Web, Secure, Admin string
	// File is its main file.
	File string
}

// Listen has the entry points of a main file take ports that are free. It goes below
// `gateway:`.
const Listen = `
  entryPoints:
    web: {address: "127.0.0.1:0"}
    webSecure: {address: "127.0.0.1:0"}
    admin: {address: "127.0.0.1:0"}
`

// Reload has Gateway.Reload work. It goes below `gateway:`.
const Reload = `
  reload: {enabled: true, token: again}
`

var ready = regexp.MustCompile(`\bready"? web=(\S+) web_secure=(\S+) admin=(\S+)`)

// Serve starts the gateway with a main file, whose log level must be info or below,
// and waits until it is ready.
func Serve(t testing.TB, binary, configuration string, env ...string) *Gateway {
	t.Helper()
	g := &Gateway{File: filepath.Join(t.TempDir(), "goma.yml")}
	g.Configure(t, configuration)
	cmd := exec.Command(binary, "--config", g.File) //nolint:noctx,gosec // ended by Start
	cmd.Env = append(os.Environ(), env...)
	g.Process = Start(t, cmd)
	g.Until("a gateway that is ready", func() bool { return ready.MatchString(g.String()) })
	m := ready.FindStringSubmatch(g.String())
	g.Web, g.Secure, g.Admin = m[1], m[2], m[3]
	return g
}

// Configure replaces the main file; what is new is live after a Reload.
func (g *Gateway) Configure(t testing.TB, configuration string) {
	t.Helper()
	part := g.File + ".part"
	if err := os.WriteFile(part, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(part, g.File); err != nil {
		t.Fatal(err)
	}
}

// Reload has the main file read again, and gives the status of the answer, which comes
// when what is new is live.
func (g *Gateway) Reload(t testing.TB) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.Web+"/gateway/reload", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer again")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// Files counts the files and sockets that the process has open.
func (p *Process) Files(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/" + strconv.Itoa(p.Pid()) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
