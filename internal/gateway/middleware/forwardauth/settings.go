// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package forwardauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/spelling"
)

// Type is forwardAuth.
var Type = definition.Type{Names: []string{"forwardAuth"}, Security: true, Scoped: true, Parse: parse}

// Settings is the rule of a forwardAuth middleware.
type Settings struct {
	// AuthURL is asked about each request, with GET. Required.
	AuthURL string `json:"authUrl"`
	// AuthSignIn is where clients go that get 401; by default they do not. When it
	// holds a ?, the URL of the request is appended, escaped.
	AuthSignIn string `json:"authSignIn"`
	// ForwardHostHeaders sends the Host of the request in place of that of AuthURL.
	ForwardHostHeaders bool `json:"forwardHostHeaders"`
	// EnableHostForwarding is an old name of ForwardHostHeaders.
	EnableHostForwarding bool `json:"enableHostForwarding"`
	// InsecureSkipVerify accepts any certificate of the service.
	InsecureSkipVerify bool `json:"insecureSkipVerify"`
	// SkipInsecureVerify is an old name of InsecureSkipVerify.
	SkipInsecureVerify bool `json:"skipInsecureVerify"`
	// RootCAs are the authorities of the service's certificate, as PEM or base64 of
	// it; those of the system by default.
	RootCAs string `json:"rootCAs"`
	// Timeout bounds the wait for the answer; 10s by default.
	Timeout config.Duration `json:"timeout"`
	// AuthRequestHeaders go to the service beside Authorization and Cookie.
	AuthRequestHeaders []string `json:"authRequestHeaders"`
	// AuthResponseHeaders of the answer go to the backend, as "Name" or "From: To".
	// What the client sent under these names never arrives.
	AuthResponseHeaders []string `json:"authResponseHeaders"`
	// AuthResponseHeadersAsParams go to the backend as parameters of the query.
	AuthResponseHeadersAsParams []string `json:"authResponseHeadersAsParams"`
	// AddAuthCookiesToResponse are the cookies of the answer that the client gets;
	// absent is all, an empty list none.
	AddAuthCookiesToResponse *[]string `json:"addAuthCookiesToResponse"`
	// TrustForwardHeader is accepted, and has no effect.
	TrustForwardHeader bool `json:"trustForwardHeader"`
}

const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = 5 * time.Minute
)

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	if s.Timeout == 0 {
		s.Timeout = config.Duration(defaultTimeout)
	}
	out := &rule{signIn: s.AuthSignIn, forwardHost: s.ForwardHostHeaders || s.EnableHostForwarding, cookies: s.AddAuthCookiesToResponse}
	out.client = peer.HTTP{
		Trust:   peer.Trust{Roots: s.RootCAs, Any: s.InsecureSkipVerify || s.SkipInsecureVerify},
		Timeout: s.Timeout.Std(),
	}
	problems = append(problems, checkAddresses(&s, out)...)
	problems = append(problems, out.readLists(&s)...)
	if s.TrustForwardHeader {
		problems = append(problems, config.Problem{
			Field: "rule.trustForwardHeader", Reason: config.ReasonIgnored, Severity: config.SeverityNote,
			Message: "has no effect: forwarded headers are believed from the trusted proxies of the gateway",
		})
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return out, problems
}

func checkAddresses(s *Settings, out *rule) (problems []config.Problem) {
	var err error
	if out.authURL, err = url.Parse(s.AuthURL); err != nil || !absolute(out.authURL) {
		problems = append(problems, definition.Invalid("authUrl", "must be a URL that begins with http:// or https://"))
	}
	if name := config.Unresolved(s.AuthURL); name != "" {
		problems = append(problems[:0], definition.Unset("authUrl", name))
	}
	if s.AuthSignIn != "" {
		u, err := url.Parse(s.AuthSignIn)
		here := err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(s.AuthSignIn, "/") && !strings.Contains(s.AuthSignIn, `\`)
		if err != nil || !here && !absolute(u) || strings.ContainsFunc(s.AuthSignIn, unprintable) {
			problems = append(problems, definition.Invalid("authSignIn", "must be an absolute URL, or a path on this host"))
		}
	}
	if t := s.Timeout.Std(); t < 0 || t > maxTimeout {
		problems = append(problems, definition.Invalid("timeout", "must be more than 0 and at most %s", maxTimeout))
	}
	if _, err := out.client.Config(); err != nil {
		problems = append(problems, definition.Invalid("rootCAs", "%v", err))
	}
	return problems
}

func absolute(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }

// mapping is a header of the answer and what it becomes.
type mapping struct{ from, to string }

// ours are the headers that the question has of its own.
var ours = []string{
	"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te",
	"Trailer", "Transfer-Encoding", "Upgrade", "X-Forwarded-Host", "X-Forwarded-Method", "X-Forwarded-Proto",
	"X-Forwarded-For", "X-Forwarded-Uri", "X-Real-Ip", "X-Original-Url",
}

// framing are headers that belong to a connection or a body: none is set by an
// answer about somebody else's request.
var framing = []string{
	"Connection", "Content-Encoding", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

func (a *rule) readLists(s *Settings) (problems []config.Problem) {
	for i, name := range s.AuthRequestHeaders {
		field := fmt.Sprintf("authRequestHeaders[%d]", i)
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			problems = append(problems, definition.Invalid(field, "%q is not a header name", name))
		case slices.Contains(ours, canonical):
			problems = append(problems, definition.Invalid(field, "%s is the gateway's own, and cannot be copied", name))
		default:
			a.copied = append(a.copied, canonical)
		}
	}
	var names []string
	for i, text := range s.AuthResponseHeaders {
		m, problem := readMapping(fmt.Sprintf("authResponseHeaders[%d]", i), text)
		if m.to = http.CanonicalHeaderKey(m.to); problem == nil && (!httpguts.ValidHeaderFieldName(m.to) || slices.Contains(framing, m.to)) {
			problem = append(problem, definition.Invalid(fmt.Sprintf("authResponseHeaders[%d]", i), "%q is not a header that can be set", m.to))
		}
		problems = append(problems, problem...)
		a.headers, names = append(a.headers, m), append(names, m.to)
	}
	a.identity = spelling.Of(names...)
	for i, text := range s.AuthResponseHeadersAsParams {
		m, problem := readMapping(fmt.Sprintf("authResponseHeadersAsParams[%d]", i), text)
		problems = append(problems, problem...)
		a.params = append(a.params, m)
	}
	return problems
}

// readMapping reads "Name" or "From: To".
func readMapping(field, text string) (m mapping, problems []config.Problem) {
	from, to, both := strings.Cut(text, ":")
	from, to = strings.TrimSpace(from), strings.TrimSpace(to)
	if !both {
		to = from
	}
	if !httpguts.ValidHeaderFieldName(from) || to == "" {
		problems = append(problems, definition.Invalid(field, "%q must be a header name, or From: To", text))
	}
	return mapping{http.CanonicalHeaderKey(from), to}, problems
}
