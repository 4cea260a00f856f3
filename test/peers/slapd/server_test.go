// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

// Package slapd tests the ldap middleware against OpenLDAP. It needs the commands
// slapd, slapadd and slappasswd (Debian: slapd), and starts a server of its own on
// loopback ports, with its own folder; the one of the system is never touched.
package slapd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/test/peers/loopback"
)

const (
	base         = "dc=goma,dc=test"
	reader       = "cn=reader," + base
	readerSecret = "reader's secret"
)

// server is one slapd with its data.
type server struct {
	t      *testing.T
	folder string
	// plain and tls are its addresses, host:port.
	plain, tls string
	// authority is the certificate of its own authority, as PEM.
	authority string
	process   *exec.Cmd
	output    *strings.Builder
}

// start prepares a server and starts it.
func start(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, folder: t.TempDir(), plain: loopback.Address(t), tls: loopback.Address(t)}
	s.certificate()
	s.write("slapd.conf", s.configuration())
	s.write("people.ldif", s.people())
	if err := os.Mkdir(filepath.Join(s.folder, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.tool("slapadd", "-f", s.path("slapd.conf"), "-l", s.path("people.ldif"))
	s.run()
	t.Cleanup(s.stop)
	return s
}

func (s *server) path(name string) string { return filepath.Join(s.folder, name) }

func (s *server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// tool runs a command of OpenLDAP and gives what it prints.
func (s *server) tool(name string, args ...string) string {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), command(s.t, name), args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return strings.TrimSpace(string(out))
}

// command finds a program, which users other than root do not have in their path.
func command(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Fatalf("this test needs OpenLDAP, and there is no %s; install the Debian package slapd", name)
	return ""
}

func (s *server) configuration() string {
	return strings.NewReplacer("FOLDER", s.folder, "BASE", base, "READER", reader).Replace(`
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile FOLDER/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile FOLDER/ca.pem
TLSCertificateFile FOLDER/server.pem
TLSCertificateKeyFile FOLDER/server.key
database mdb
suffix "BASE"
directory FOLDER/data
maxsize 10485760
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="READER" read by * none
`)
}

// people are ann and bob; two entries share the mail address of the Twins.
func (s *server) people() string {
	var b strings.Builder
	b.WriteString("dn: " + base + "\nobjectClass: dcObject\nobjectClass: organization\no: Goma\ndc: goma\n\n")
	b.WriteString("dn: " + reader + "\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: " +
		s.tool("slappasswd", "-s", readerSecret) + "\n\n")
	b.WriteString("dn: ou=people," + base + "\nobjectClass: organizationalUnit\nou: people\n\n")
	for name, mail := range map[string]string{"ann": "ann@goma.test", "bob": "twins@goma.test", "cid": "twins@goma.test"} {
		fmt.Fprintf(&b, "dn: uid=%[1]s,ou=people,%[2]s\nobjectClass: inetOrgPerson\nuid: %[1]s\ncn: %[1]s\nsn: %[1]s\nmail: %[3]s\nuserPassword: %[4]s\n\n",
			name, base, mail, s.tool("slappasswd", "-s", name+"'s password"))
	}
	return b.String()
}

// run starts the process, and waits until it answers on both ports.
func (s *server) run() {
	s.t.Helper()
	s.output = &strings.Builder{}
	// With -d it stays in the foreground.
	s.process = exec.Command(command(s.t, "slapd"), "-d", "0", "-f", s.path("slapd.conf"), "-h", "ldap://"+s.plain+"/ ldaps://"+s.tls+"/") //nolint:noctx // it is stopped by stop
	s.process.Stdout, s.process.Stderr = s.output, s.output
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func(p *exec.Cmd) { ended <- p.Wait() }(s.process)
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for _, address := range []string{s.plain, s.tls} {
		for !listens(ctx, address) {
			select {
			case err := <-ended:
				s.t.Fatalf("slapd ended: %v\n%s", err, s.output)
			case <-ctx.Done():
				s.t.Fatalf("slapd does not listen on %s\n%s", address, s.output)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

func listens(ctx context.Context, address string) bool {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// stop ends the process, and waits until nothing listens any more.
func (s *server) stop() {
	s.t.Helper()
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(os.Interrupt)
	for listens(context.Background(), s.plain) {
		time.Sleep(10 * time.Millisecond)
	}
	s.process = nil
}

// certificate makes an authority and a certificate for 127.0.0.1.
func (s *server) certificate() {
	s.t.Helper()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "directory"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authorityKey, key := newKey(s.t), newKey(s.t)
	s.authority = s.sign("ca.pem", authority, authority, authorityKey, authorityKey)
	s.sign("server.pem", leaf, authority, key, authorityKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("server.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (s *server) sign(name string, cert, parent *x509.Certificate, key, by *ecdsa.PrivateKey) string {
	s.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, by)
	if err != nil {
		s.t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	s.write(name, text)
	return text
}
