// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package acme

import (
	"io"
	"io/fs"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// get asks without following redirects.
func get(t *testing.T, url, host string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	if host != "" {
		r.Host = host
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	must(t, err)
	defer resp.Body.Close() //nolint:errcheck // a test
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(body)
}

// The route redirects to https and asks for a login, and the authority gets through:
// its token comes first. Another token is a request like any other. A8
func TestHTTP01ComesBeforeRedirectsAndLogins(t *testing.T) {
	a := newAuthority(t)
	a.start()
	g := a.gateway(t, settings{hosts: []string{"a.example.com", "b.example.com"}})
	for _, name := range []string{"a.example.com", "b.example.com"} {
		if c := g.obtained(name); len(c.names) != 1 || c.names[0] != name {
			t.Errorf("the certificate is for %v", c.names)
		}
	}
	if status, _ := get(t, "http://"+g.web+"/.well-known/acme-challenge/other", "a.example.com"); status != http.StatusUnauthorized {
		t.Errorf("a token that is not in progress: %d", status)
	}
	if _, text := get(t, "http://"+g.web+"/metrics", ""); !strings.Contains(text, `gateway_certificate_expiry_seconds{host="a.example.com"}`) {
		t.Error("there is no metric of the certificate")
	}
	if a.count() != 2 {
		t.Errorf("%d orders for two names", a.count())
	}
	err := filepath.WalkDir(filepath.Join(g.dir, "acme.d"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode()) // A10
		}
		return err
	})
	must(t, err)
	g.end()
	again := a.gateway(t, settings{hosts: []string{"a.example.com", "b.example.com"}, dir: g.dir})
	again.obtained("a.example.com")
	again.obtained("b.example.com")
	if a.count() != 2 {
		t.Errorf("%d orders after a restart", a.count()) // A10
	}
}

func TestTLSALPN01(t *testing.T) { // A6
	a := newAuthority(t)
	a.start()
	g := a.gateway(t, settings{hosts: []string{"a.example.com"}, acme: "    challengeType: tls-alpn-01"})
	g.obtained("a.example.com")
}

const byRecords = `
    challengeType: dns-01
    dnsProvider: rfc2136
    resolvers: ["ADDRESS"]
    credentials: {RFC2136_NAMESERVER: "ADDRESS", RFC2136_TSIG_KEY: "goma.", apiToken: "SECRET"}`

func TestDNS01IssuesWildcards(t *testing.T) {
	a := newAuthority(t)
	a.start()
	lines := strings.NewReplacer("ADDRESS", a.zone.address, "SECRET", tsigSecret).Replace(byRecords)
	g := a.gateway(t, settings{hosts: []string{"*.example.com", "example.com"}, acme: lines})
	if c := g.obtained("anything.example.com"); c.names[0] != "*.example.com" {
		t.Errorf("the certificate is for %v", c.names)
	}
	if c := g.obtained("example.com"); c.names[0] != "example.com" {
		t.Errorf("the certificate is for %v", c.names)
	}
	if served(g.webSecure, "two.labels.example.com") != nil {
		t.Error("a wildcard serves two labels") // A3
	}
	until(t, "the records to be taken away", func() bool { return a.zone.left() == 0 })
}

func TestShortLivedCertificatesAreRenewed(t *testing.T) { // A7
	a := newAuthority(t)
	a.life = 40
	a.start()
	g := a.gateway(t, settings{hosts: []string{"a.example.com"}})
	first := g.obtained("a.example.com")
	for range 2 {
		last := first.serial
		until(t, "the renewal", func() bool {
			c := served(g.webSecure, "a.example.com")
			if c == nil {
				t.Fatal("nothing is served in between")
			}
			first = c
			return c.serial != last
		})
	}
}

func TestThreeReplicasOrderEachNameOnce(t *testing.T) { // A9
	a := newAuthority(t)
	a.start()
	redis := startRedis(t)
	names := []string{"a.example.com", "b.example.com", "c.example.com"}
	var fleet []*gateway
	for range 3 {
		fleet = append(fleet, a.gateway(t, settings{hosts: names, redis: redis}))
	}
	for _, name := range names {
		serial := fleet[0].obtained(name).serial
		for i, g := range fleet[1:] {
			if c := g.obtained(name); c.serial != serial {
				t.Errorf("replica %d serves another certificate for %s", i+1, name)
			}
		}
	}
	if a.count() != len(names) {
		t.Errorf("%d orders for %d names", a.count(), len(names))
	}
	late := a.gateway(t, settings{hosts: names, redis: redis})
	late.obtained("a.example.com")
	if a.count() != len(names) {
		t.Errorf("%d orders after one more replica", a.count())
	}
}

func startRedis(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("there is no redis-server; install the Debian package redis-server")
	}
	address := free(t)
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	process := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()) //nolint:noctx,gosec // ended below
	must(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	until(t, "redis-server", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return address
}

func TestAnAuthorityThatIsDownAtTheStart(t *testing.T) { // A12
	a := newAuthority(t)
	a.start() // for its certificate
	a.stop()
	g := a.gateway(t, settings{hosts: []string{"a.example.com"}})
	until(t, "the failure", func() bool { return strings.Contains(g.String(), "no certificate was obtained") })
	if status, _ := get(t, "http://"+g.web+"/readyz", ""); status != http.StatusOK {
		t.Errorf("the gateway is not ready: %d", status)
	}
	if status, _ := get(t, "http://"+g.web+"/", "a.example.com"); status != http.StatusMovedPermanently {
		t.Errorf("the route does not serve: %d", status)
	}
	a.start()
	g.obtained("a.example.com")
}

func TestNoncesThatAreRefused(t *testing.T) {
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "40")
	a := newAuthority(t)
	a.start()
	g := a.gateway(t, settings{hosts: []string{"a.example.com"}})
	g.obtained("a.example.com")
}

func TestAccountsBoundToOthers(t *testing.T) {
	a := newAuthority(t)
	a.binding = map[string]string{"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
	a.start()
	g := a.gateway(t, settings{
		hosts: []string{"a.example.com"}, acme: "    eab: {keyId: kid-1, hmacKey: zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W}",
	})
	g.obtained("a.example.com")
}

// An authority that has lost its accounts, as one that was set up anew.
func TestAnAuthorityThatForgets(t *testing.T) {
	a := newAuthority(t)
	a.start()
	g := a.gateway(t, settings{hosts: []string{"a.example.com"}})
	g.obtained("a.example.com")
	a.stop()
	a.start()
	g.end()
	again := a.gateway(t, settings{hosts: []string{"a.example.com", "b.example.com"}, dir: g.dir})
	again.obtained("b.example.com")
}

func TestTermsThatAreNotAccepted(t *testing.T) { // A12
	a := newAuthority(t)
	a.start()
	g := a.gateway(t, settings{hosts: []string{"a.example.com"}, acme: "    termsAccepted: false"})
	until(t, "the refusal", func() bool { return strings.Contains(g.String(), "certManager.acme.termsAccepted") })
	if status, _ := get(t, "http://"+g.web+"/readyz", ""); status != http.StatusOK {
		t.Errorf("the gateway is not ready: %d", status)
	}
	if a.count() != 0 || served(g.webSecure, "a.example.com") != nil {
		t.Error("something was ordered")
	}
}
