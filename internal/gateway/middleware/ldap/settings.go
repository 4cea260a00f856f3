// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"crypto/sha256"
	"encoding/json"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/credentials"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
)

// Type is ldap, also called ldapAuth.
var Type = definition.Type{Names: []string{"ldap", "ldapAuth"}, Security: true, Scoped: true, Secrets: []string{"bindPass"}, Parse: parse}

// Settings is the rule of an ldap middleware.
type Settings struct {
	// URL of the directory, ldap://host[:port] or ldaps://host[:port]. Required.
	URL definition.Text `json:"url"`
	// BaseDN is the entry below which users are searched. Required.
	BaseDN definition.Text `json:"baseDN"`
	// BindDN is the entry that searches; with an empty BindDN or BindPass the search
	// is anonymous.
	BindDN definition.Text `json:"bindDN"`
	// BindPass is the password of BindDN.
	BindPass definition.Text `json:"bindPass"`
	// BindPassFrom names a Secret in place of it.
	BindPassFrom json.RawMessage `json:"bindPassFrom"`
	// UserFilter finds the user; %s stands for the name. Default (uid=%s).
	UserFilter definition.Text `json:"userFilter"`
	// StartTLS encrypts an ldap:// connection before anything is said on it.
	StartTLS bool `json:"startTLS"`
	// InsecureSkipVerify accepts any certificate of the directory.
	InsecureSkipVerify bool `json:"insecureSkipVerify"`
	// RootCAs are the authorities of the directory's certificate, as PEM or base64 of
	// it; those of the system by default.
	RootCAs string `json:"rootCAs"`
	// Realm is shown by browsers when they ask; "Restricted" by default.
	Realm string `json:"realm"`
	// ForwardUsername sends the name to the backend, as X-Forwarded-User and as
	// username. Whatever the client sent under these names never arrives.
	ForwardUsername bool `json:"forwardUsername"`
	// ConnPool limits how often one client may ask the directory.
	ConnPool ConnPool `json:"connPool"`
}

// ConnPool is the limit of attempts, for each client address. Credentials that were
// good a moment ago do not count.
type ConnPool struct {
	// Size is how many attempts a client gets back in TTL; 10 by default.
	Size int `json:"size"`
	// Burst is how many attempts it may make at once; 20 by default.
	Burst int `json:"burst"`
	// TTL is 60s by default.
	TTL config.Duration `json:"ttl"`
}

const (
	defaultFilter = "(uid=%s)"
	defaultSize   = 10
	defaultBurst  = 20
	defaultTTL    = time.Minute
)

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	fill(&s)
	out := &rule{
		forward: s.ForwardUsername, identity: sha256.Sum256(raw),
		limit: limit{s.ConnPool.Size, s.ConnPool.Burst, s.ConnPool.TTL.Std()},
	}
	var err error
	if out.challenge, err = credentials.Challenge(s.Realm); err != nil {
		problems = append(problems, definition.Invalid("realm", "%v", err))
	}
	problems = append(problems, checkServer(&s, &out.account)...)
	problems = append(problems, checkSearch(&s, &out.account)...)
	problems = append(problems, checkLimit(s.ConnPool)...)
	if config.HasErrors(problems) {
		return nil, problems
	}
	return out, problems
}

func fill(s *Settings) {
	if s.UserFilter == "" {
		s.UserFilter = defaultFilter
	}
	if s.ConnPool.Size == 0 {
		s.ConnPool.Size = defaultSize
	}
	if s.ConnPool.Burst == 0 {
		s.ConnPool.Burst = defaultBurst
	}
	if s.ConnPool.TTL == 0 {
		s.ConnPool.TTL = config.Duration(defaultTTL)
	}
}

// checkServer reads how the directory is reached. No message repeats the URL.
func checkServer(s *Settings, a *account) (problems []config.Problem) {
	if name := config.Unresolved(string(s.URL)); name != "" {
		return []config.Problem{definition.Unset("url", name)}
	}
	u, err := url.Parse(string(s.URL))
	if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery != "" {
		return []config.Problem{definition.Invalid("url", "must be ldap://host:port or ldaps://host:port")}
	}
	a.host, a.encrypted, a.startTLS = u.Hostname(), u.Scheme == "ldaps", s.StartTLS && u.Scheme == "ldap"
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": ldap.DefaultLdapPort, "ldaps": ldap.DefaultLdapsPort}[u.Scheme]
	}
	a.address = net.JoinHostPort(a.host, port)
	if s.StartTLS && a.encrypted {
		problems = append(problems, config.Problem{
			Field: "rule.startTLS", Reason: config.ReasonIgnored, Severity: config.SeverityNote,
			Message: "has no effect: an ldaps:// connection is encrypted from its start",
		})
	}
	a.trust = peer.Trust{Roots: s.RootCAs, Any: s.InsecureSkipVerify}
	if _, err := a.trust.Config(); err != nil {
		problems = append(problems, definition.Invalid("rootCAs", "%v", err))
	}
	return problems
}

// checkSearch reads how a user is found. C2, M8
func checkSearch(s *Settings, a *account) (problems []config.Problem) {
	for _, f := range []struct{ name, value string }{
		{"baseDN", string(s.BaseDN)}, {"bindDN", string(s.BindDN)}, {"bindPass", string(s.BindPass)}, {"userFilter", string(s.UserFilter)},
	} {
		if variable := config.Unresolved(f.value); variable != "" {
			problems = append(problems, definition.Unset(f.name, variable))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	for _, f := range []struct{ name, value string }{{"baseDN", string(s.BaseDN)}, {"bindDN", string(s.BindDN)}} {
		if _, err := ldap.ParseDN(f.value); err != nil {
			problems = append(problems, definition.Invalid(f.name, "is not a distinguished name such as dc=example,dc=com"))
		}
	}
	switch {
	case s.BaseDN == "":
		problems = append(problems, definition.Invalid("baseDN", "is missing; name the entry below which users are, such as ou=people,dc=example,dc=com"))
	case s.BindPass == "" && len(s.BindPassFrom) > 0:
		problems = append(problems, definition.Unread("bindPass"))
	case s.BindDN == "" && s.BindPass != "":
		problems = append(problems, definition.Invalid("bindDN", "is missing; name the entry whose password bindPass is"))
	}
	a.baseDN, a.filter = string(s.BaseDN), string(s.UserFilter)
	if s.BindPass != "" {
		a.bindDN, a.bindPass = string(s.BindDN), string(s.BindPass)
	}
	if !strings.HasPrefix(a.filter, "(") {
		a.filter = "(" + a.filter + ")"
	}
	if _, err := ldap.CompileFilter(a.filterFor("name")); err != nil || !strings.Contains(a.filter, "%s") {
		problems = append(problems, definition.Invalid("userFilter", "must be a filter with %%s for the name, such as (uid=%%s)"))
	}
	return problems
}

func checkLimit(p ConnPool) (problems []config.Problem) {
	if p.Size < 0 {
		problems = append(problems, definition.Invalid("connPool.size", "is negative"))
	}
	if p.Burst < 0 {
		problems = append(problems, definition.Invalid("connPool.burst", "is negative"))
	}
	if p.TTL < 0 {
		problems = append(problems, definition.Invalid("connPool.ttl", "is negative"))
	}
	return problems
}
