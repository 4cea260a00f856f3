// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
)

// identities tells backends which client has shown a certificate, in a header that no
// client can set. Without a configured header it does nothing.
func (g *gateway) identities(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := g.identityHeader.Load(); name != nil {
			name.spellings.Delete(r)
			if who := identityOf(r.TLS); who != "" {
				r.Header[name.canonical] = []string{who}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// setIdentityHeader puts the name of the header into effect; an empty one is none.
func (g *gateway) setIdentityHeader(name string) {
	if name == "" {
		g.identityHeader.Store(nil)
		return
	}
	g.identityHeader.Store(&identityHeader{canonical: http.CanonicalHeaderKey(name), spellings: spelling.Of(name)})
}

// identityHeader is the header that holds the identity, and what some backends take
// for the same one. P8
type identityHeader struct {
	canonical string
	spellings spelling.Names
}

// identityOf gives the subject of a verified certificate, else another name in it.
func identityOf(state *tls.ConnectionState) string {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return ""
	}
	leaf := state.VerifiedChains[0][0]
	if who := leaf.Subject.String(); who != "" {
		return visible(who)
	}
	return visible(alternative(leaf))
}

func alternative(leaf *x509.Certificate) string {
	switch {
	case len(leaf.URIs) > 0:
		return leaf.URIs[0].String()
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	case len(leaf.EmailAddresses) > 0:
		return leaf.EmailAddresses[0]
	}
	return "serial:" + leaf.SerialNumber.Text(16)
}

// visible writes everything but visible characters and blanks of ASCII as %XX, and so
// the percent sign.
func visible(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
