// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"sync"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// talk makes a connection and gives what both agreed on.
func talk(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	must(t, err)
	defer l.Close() //nolint:errcheck // a test
	var served sync.WaitGroup
	defer served.Wait()
	served.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close() //nolint:errcheck // a test
		s := tls.Server(c, server)
		if s.Handshake() == nil { //nolint:noctx // a test
			_, _ = s.Write([]byte("x"))
			_, _ = io.Copy(io.Discard, s)
		}
	})
	c, err := tls.Dial("tcp", l.Addr().String(), client) //nolint:noctx // a test
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()                          //nolint:errcheck // a test
	_, err = io.ReadFull(c, make([]byte, 1)) // the ticket has come with it
	return c.ConnectionState(), err
}

func TestHandshakesFollowTheSettings(t *testing.T) { // A6
	t.Parallel()
	serving := newAuthority(t).issue(t, x509.ExtKeyUsageServerAuth)
	server := func(s config.TLS) *tls.Config {
		g := &gateway{}
		g.setClientAuth(&config.Gateway{TLS: &s})
		c := g.tlsConfig.Load().config
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return serving, nil }
		return c
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12} //nolint:gosec // as old clients do
	if s, err := talk(t, server(config.TLS{}), old); err != nil || s.Version != tls.VersionTLS12 {
		t.Errorf("%x, %v", s.Version, err)
	}
	if _, err := talk(t, server(config.TLS{MinVersion: "1.3"}), old); err == nil {
		t.Error("TLS 1.2 in spite of minVersion 1.3")
	}
	older := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // as above
	if _, err := talk(t, server(config.TLS{}), older); err == nil {
		t.Error("TLS 1.1 by default")
	}
	now := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the names do not matter
	if s, err := talk(t, server(config.TLS{}), now); err != nil || s.CurveID != tls.X25519MLKEM768 {
		t.Errorf("key exchange %v, %v", s.CurveID, err)
	}
	if s, err := talk(t, server(config.TLS{Curves: []string{"P-256"}}), now); err != nil || s.CurveID != tls.CurveP256 {
		t.Errorf("key exchange %v, %v", s.CurveID, err)
	}
	suite := config.TLS{CipherSuites: []string{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"}}
	if s, err := talk(t, server(suite), old); err != nil || s.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {
		t.Errorf("cipher suite %x, %v", s.CipherSuite, err)
	}
}

func TestSessionsAreResumedAtAnotherReplica(t *testing.T) {
	t.Parallel()
	serving := newAuthority(t).issue(t, x509.ExtKeyUsageServerAuth)
	replica := func(keys [][32]byte, s *config.TLS) *tls.Config {
		g := &gateway{}
		g.setClientAuth(&config.Gateway{})
		if keys != nil {
			g.setTicketKeys(keys)
		}
		g.setClientAuth(&config.Gateway{TLS: s}) // other settings take the keys over
		c := g.tlsConfig.Load().config
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return serving, nil }
		return c
	}
	fresh := func() (key [32]byte) {
		_, err := rand.Read(key[:])
		must(t, err)
		return key
	}
	resumed := func(first, second *tls.Config) bool {
		t.Helper()
		client := &tls.Config{InsecureSkipVerify: true, ServerName: "h.example", ClientSessionCache: tls.NewLRUClientSessionCache(4)} //nolint:gosec // as above
		_, err := talk(t, first, client)
		must(t, err)
		s, err := talk(t, second, client)
		must(t, err)
		return s.DidResume
	}
	a, b := fresh(), fresh()
	if !resumed(replica([][32]byte{a, b}, nil), replica([][32]byte{b, a}, &config.TLS{MinVersion: "1.3"})) {
		t.Error("not resumed at a replica that has the key")
	}
	if resumed(replica([][32]byte{a}, nil), replica([][32]byte{b}, nil)) {
		t.Error("resumed with another key")
	}
	no := false
	if resumed(replica([][32]byte{a}, &config.TLS{SessionTickets: &no}), replica([][32]byte{a}, nil)) {
		t.Error("resumed although tickets are off")
	}
}
