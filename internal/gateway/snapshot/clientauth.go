// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/normal"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// clientAuth is what a route asks of its clients: a certificate of an authority. In the
// handshake only the host is known, so certificates are asked for there, and looked at
// with each request: whichever connection it comes on, a request gets to the route only
// with what the route asks for now. A1, A2, G4
type clientAuth struct {
	required bool
	// roots are the authority's certificates, known by their bytes.
	roots map[string]bool
	certs []*x509.Certificate
}

const fieldClientCA = "tls.clientAuth.clientCA"

// authenticate puts the check of clients in front of everything that a route does. A
// route whose authority cannot be read lets nobody in.
func (b *builder) authenticate(next http.Handler) http.Handler {
	t := b.route.TLS
	if t == nil || t.ClientAuth == nil {
		return next
	}
	b.clients = &clientAuth{required: !strings.EqualFold(t.ClientAuth.Mode, config.ClientAuthOptional), roots: map[string]bool{}}
	b.dependOn(t.ClientAuth.ClientCA)
	if p := b.o.refused(b.route, []namedFile{{fieldClientCA, t.ClientAuth.ClientCA}}); p != nil {
		b.report(*p)
		b.failClosed(p.Field + " " + p.Message)
		return b.closed()
	}
	data, err := authorityText(t.ClientAuth.ClientCA)
	if err == nil {
		err = b.clients.trust(data)
	}
	if err != nil {
		reason := config.ReasonSecretInvalid
		if errors.Is(err, fs.ErrNotExist) {
			reason = config.ReasonSecretNotFound
		}
		b.problem(reason, fieldClientCA, "client certificates cannot be verified: "+err.Error())
		b.failClosed("its client certificates cannot be verified")
		return b.closed()
	}
	return b.clients.guard(next)
}

// authorityText gives what is a path, PEM text, or base64 of PEM text.
func authorityText(value string) ([]byte, error) {
	if strings.Contains(value, "-----BEGIN") {
		return []byte(value), nil
	}
	if data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value)); err == nil {
		if block, _ := pem.Decode(data); block != nil {
			return data, nil
		}
	}
	return os.ReadFile(value)
}

func (c *clientAuth) trust(data []byte) error {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		c.roots[string(cert.Raw)] = true
		c.certs = append(c.certs, cert)
	}
	if len(c.certs) == 0 {
		return errors.New("it holds no certificate in PEM")
	}
	return nil
}

// proven tells whether the client has shown a certificate of the authority.
func (c *clientAuth) proven(state *tls.ConnectionState) bool {
	for _, chain := range state.VerifiedChains {
		for _, cert := range chain { // the client's own too, where that is what is trusted
			if c.roots[string(cert.Raw)] {
				return true
			}
		}
	}
	return false
}

// guard refuses those who have not shown what the route asks for. A client whose
// connection was made for another host has not been asked: it is told to make another
// one.
func (c *clientAuth) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.TLS == nil && !c.required, r.TLS != nil && c.proven(r.TLS):
		case r.TLS != nil && !madeFor(r.TLS.ServerName, r.Host):
			refuseClient(w, r, http.StatusMisdirectedRequest, "421 misdirected request: the connection was made for another host")
			return
		case c.required || len(r.TLS.PeerCertificates) > 0:
			refuseClient(w, r, http.StatusForbidden, "403 a client certificate is required")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// madeFor tells whether a connection for which the client gave a name is that of the
// host.
func madeFor(name, host string) bool {
	host, _ = normal.SplitPort(host)
	return strings.EqualFold(strings.TrimSuffix(name, "."), host)
}

// refuseClient ends the connection, since a client is asked for its certificate only
// when it makes one. That of another host goes on.
func refuseClient(w http.ResponseWriter, r *http.Request, status int, message string) {
	exchange.Of(r).Reason = "client_certificate"
	if r.ProtoMajor < 2 || status == http.StatusForbidden {
		w.Header().Set("Connection", "close")
	}
	reply.Error(w, r, status, message)
}

// authorities are those of whom clients are asked for certificates, by the hosts of
// the routes that do. The zero value asks nobody.
type authorities struct {
	any             []*clientAuth
	exact, wildcard map[string][]*clientAuth
}

func newAuthorities(units []*unit) authorities {
	a := authorities{}
	for _, u := range units {
		if u.chain.clients == nil || u.entry == nil {
			continue
		}
		if a.exact == nil {
			a.exact, a.wildcard = map[string][]*clientAuth{}, map[string][]*clientAuth{}
		}
		if len(u.route.Hosts) == 0 {
			a.any = append(a.any, u.chain.clients)
		}
		for _, host := range u.route.Hosts {
			a.add(host, u.chain.clients)
		}
	}
	return a
}

func (a *authorities) add(host string, c *clientAuth) {
	table := a.exact
	rest, wild := strings.CutPrefix(host, "*.")
	if host == "*" {
		a.any = append(a.any, c)
		return
	}
	if wild {
		table = a.wildcard
	}
	if name, err := normal.Host(rest); err == nil {
		rest, _ = normal.SplitPort(name)
	}
	table[rest] = append(table[rest], c)
}

// ClientAuthorities gives those of whom a client that names a host in its handshake may
// show a certificate; nil when none of the routes of the host asks for one.
func (s *Snapshot) ClientAuthorities(name string) *x509.CertPool {
	a := &s.authorities
	if a.exact == nil {
		return nil
	}
	var pool *x509.CertPool
	add := func(list []*clientAuth) {
		for _, c := range list {
			if pool == nil {
				pool = x509.NewCertPool()
			}
			for _, cert := range c.certs {
				pool.AddCert(cert)
			}
		}
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	add(a.any)
	add(a.exact[name])
	for _, rest, more := strings.Cut(name, "."); more; _, rest, more = strings.Cut(rest, ".") {
		add(a.wildcard[rest])
	}
	return pool
}
