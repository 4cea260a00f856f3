// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build examples

package examples

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

const patience = program.Patience

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// goma runs a command that ends by itself, in a folder.
func goma(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), out.String(), errs.String()
	}
	must(t, err)
	return 0, out.String(), errs.String()
}

// process is a running `goma up`.
type process struct {
	*program.Process

	t           *testing.T
	http, https string
}

var title = regexp.MustCompile(`is up: http://(\S+) https://(\S+)`)

// up starts goma up on free ports and waits until it says that it serves. It is
// stopped with SIGTERM at the end of the test, and must end with 0.
func up(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	args = append([]string{"up", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--admin", "none"}, args...)
	cmd := exec.Command(binary, args...) //nolint:noctx // ended by Start
	cmd.Dir = dir
	p := &process{Process: program.Start(t, cmd), t: t}
	p.Until("the table", func() bool { return title.MatchString(p.Out.String()) })
	m := title.FindStringSubmatch(p.Out.String())
	p.http, p.https = m[1], m[2]
	return p
}

func (p *process) untilPrinted(text string) {
	p.t.Helper()
	p.Until(text, func() bool { return strings.Contains(p.Out.String(), text) })
}

// answer is what a request came back with.
type answer struct {
	status  int
	header  http.Header
	body    string
	names   []string // of the certificate
	problem error
}

// send sends a request to the process, whatever its host is.
func (p *process) send(c request) answer {
	address := p.http
	scheme := "http"
	if c.tls {
		address, scheme = p.https, "https"
	}
	host := c.host
	if host == "" {
		host = "any.example.org"
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test looks at the names
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	method := c.method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, scheme+"://"+host+c.path, strings.NewReader(c.body))
	if err != nil {
		return answer{problem: err}
	}
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	if c.user != "" {
		name, password, _ := strings.Cut(c.user, ":")
		req.SetBasicAuth(name, password)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer{problem: err}
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	body, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body), problem: err}
	if resp.TLS != nil {
		a.names = resp.TLS.PeerCertificates[0].DNSNames
	}
	return a
}

// pipe runs a command with an input.
func pipe(t *testing.T, in io.Reader, args ...string) (code int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdin = in
	data, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(data)
	}
	must(t, err)
	return 0, string(data)
}
