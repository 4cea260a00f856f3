// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

func routeSource(ref config.ObjectRef, certificates ...config.Certificate) (src Source) {
	for _, c := range certificates {
		src.Routes = append(src.Routes, RouteCert{Ref: ref, Cert: c})
	}
	return src
}

func TestARouteKeepsItsLastGoodCertificateHoweverItNamesTheNextOne(t *testing.T) { // A5
	t.Parallel()
	dir := t.TempDir()
	ref, other := config.ObjectRef{Kind: "Route", Name: "r"}, config.ObjectRef{Kind: "Route", Name: "other"}
	a, b := named(t, "a.test"), named(t, "b.test")
	mixed := config.Certificate{Cert: a.cert, Key: config.PrivateKey(b.key)}
	first := build(t, nil, routeSource(ref, a.inline(), b.inline()))
	s, problems := Build(first, routeSource(ref, mixed, b.inline()))
	if got := served(t, s, "a.test") + " " + served(t, s, "b.test"); got != "a.test b.test" {
		t.Errorf("served %s", got)
	}
	if len(problems) != 1 || problems[0].Object != ref || problems[0].Severity != config.SeverityWarning {
		t.Errorf("problems %v: the route still serves, so this is a warning", problems)
	}
	broken := named(t, "x").write(t, dir, "x.crt", "x.key")
	write(t, broken.Cert, "garbage")
	if s = build(t, s, routeSource(ref, broken, b.inline()), config.ReasonSecretInvalid); served(t, s, "a.test") != "a.test" {
		t.Error("another path lost the certificate")
	}
	if s = build(t, s, routeSource(other, broken), config.ReasonSecretInvalid); served(t, s, "b.test") != "self-signed" {
		t.Error("another route got the certificate")
	}
	if s = build(t, first, Source{}); served(t, s, "a.test") != "self-signed" {
		t.Error("the certificate outlives its route")
	}
}

func TestHostsThatNoCertificateIsValidForAreReported(t *testing.T) { // A3
	t.Parallel()
	ref := config.ObjectRef{Kind: "Route", Name: "r"}
	wild, exact, fallback := named(t, "*.example.com"), named(t, "apex.test"), named(t, "default.test", "*.default.test").inline()
	src := Source{
		Default: &fallback, Certificates: []config.Certificate{exact.inline()},
		Routes: []RouteCert{{Ref: ref, Cert: wild.inline(), Hosts: []string{
			"a.example.com", "A.Example.com.", "a.example.com:8443", "*.example.com", "apex.test", "default.test", "x.default.test", "*.default.test", "*", "",
			"example.com", "a.b.example.com", "*.test", "other", "other",
		}}},
	}
	for range 2 { // also when nothing has changed
		_, problems := Build(nil, src)
		var hosts []string
		for _, p := range problems {
			if p.Object != ref || p.Severity != config.SeverityWarning || p.Reason != config.ReasonSecretInvalid {
				t.Errorf("%v", p)
			}
			_, rest, _ := strings.Cut(p.Message, `"`)
			host, _, _ := strings.Cut(rest, `"`)
			hosts = append(hosts, host)
		}
		if got := strings.Join(hosts, " "); got != "example.com a.b.example.com *.test other" {
			t.Errorf("reported: %s", got)
		}
	}
	src.Routes[0].Cert.Key = config.PrivateKey(exact.key)
	if _, problems := Build(nil, src); len(problems) != 1 || problems[0].Severity != config.SeverityError {
		t.Errorf("a route without its certificate has one problem: %v", problems)
	}
}

func TestADefaultThatHasExpiredIsNotServed(t *testing.T) { // A3
	t.Parallel()
	d := make1(t, spec{names: []string{"default.test"}, from: -2 * time.Hour, till: -time.Hour}).inline()
	s := build(t, nil, Source{Default: &d}, config.ReasonSecretInvalid)
	if got := served(t, s, "unknown.test"); got != "self-signed" {
		t.Errorf("served %s", got)
	}
}

func TestTheSelfSignedCertificateIsReplacedBeforeItExpires(t *testing.T) {
	t.Parallel()
	s := build(t, nil, Source{})
	old := selfSigned(time.Now().AddDate(-1, 0, 15))
	s.selfSigned = old
	next := build(t, s, Source{})
	if next == s || next.selfSigned == old || next.selfSigned.Leaf.NotAfter.Before(time.Now().AddDate(0, 6, 0)) {
		t.Error("it stays until it has expired")
	}
}

func TestWhatIsNoFileIsNotRead(t *testing.T) { // A5
	t.Parallel()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "tls.crt")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(dir, "huge.crt")
	write(t, huge, strings.Repeat("x", maxFileBytes+1))
	key := filepath.Join(dir, "tls.key")
	write(t, key, named(t, "a.test").key)
	for _, path := range []string{fifo, dir, "/dev/zero", huge} {
		_, problems := Build(nil, Source{Certificates: []config.Certificate{{Cert: path, Key: config.PrivateKey(key)}}})
		if len(problems) != 1 || problems[0].Field != "gateway.tls.certificates[0]" || !strings.Contains(problems[0].Message, path) {
			t.Errorf("%s: %v", path, problems)
		}
	}
}

func TestAKeyIsGuessedOnlyWhereItIsNobodyElses(t *testing.T) { // A5
	t.Parallel()
	dir := t.TempDir()
	named(t, "a.test").write(t, dir, "a.crt", "a.key")
	write(t, dir+"/ab.pem", named(t, "ab.test").cert) // its key is elsewhere; a.key is not its
	named(t, "site.test").write(t, dir, "site.cert", "site-private.key")
	s := build(t, nil, Source{CertsDir: dir})
	if got := served(t, s, "a.test") + " " + served(t, s, "site.test"); got != "a.test site.test" {
		t.Errorf("served %s", got)
	}
}

func TestHandshakesGoOnWhileCertificatesChange(t *testing.T) { // A4, L1
	t.Parallel()
	dir := t.TempDir()
	var live atomic.Pointer[Set]
	src := Source{Certificates: []config.Certificate{named(t, "a.test", "0").write(t, dir, "a.crt", "a.key"), named(t, "b.test").inline()}}
	live.Store(build(t, nil, src))
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return live.Load().GetCertificate(h) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var serving, clients sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { _, _ = io.Copy(io.Discard, c); _ = c.Close() })
		}
	})
	stop := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := shown(t, listener.Addr(), "b.test"); got != "b.test" {
					t.Errorf("b.test is served %q while a.test changes", got)
					return
				}
			}
		})
	}
	for i := 1; i <= 50; i++ {
		serial := fmt.Sprint(i)
		named(t, "a.test", serial).write(t, dir, "a.crt", "a.key")
		if i%3 == 0 {
			write(t, dir+"/a.key", "garbage") // and the last good one stays
			s, problems := Build(live.Load(), src)
			if live.Store(s); len(problems) != 1 {
				t.Errorf("problems %v", problems)
			}
			continue
		}
		live.Store(build(t, live.Load(), src))
		if got := shown(t, listener.Addr(), "a.test"); got != "a.test,"+serial {
			t.Errorf("the handshake after change %d shows %s", i, got)
		}
	}
	close(stop)
	clients.Wait()
	_ = listener.Close()
	serving.Wait()
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// shown gives the names of the certificate of a server.
func shown(t *testing.T, at net.Addr, name string) string {
	c, err := tls.Dial("tcp", at.String(), &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec,noctx // a test
	if err != nil {
		t.Error(err)
		return ""
	}
	defer c.Close() //nolint:errcheck // a test
	return strings.Join(c.ConnectionState().PeerCertificates[0].DNSNames, ",")
}
