// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/textproto"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	httpField = "gateway.providers.http"
	gitField  = "gateway.providers.git"
)

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// ownHeaders are those that the request is made of.
var ownHeaders = map[string]bool{
	"Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Upgrade": true, "Te": true, "Trailer": true,
	"If-None-Match": true, "If-Modified-Since": true, "Accept-Encoding": true, "Prefer": true,
}

func (f *findings) httpProvider(p *HTTPProvider) {
	if u, err := url.Parse(p.Endpoint); err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		f.invalid(httpField+".endpoint", "is not a URL; write it like https://config.example.com/routes")
	}
	f.positive(httpField+".interval", p.Interval)
	f.positive(httpField+".timeout", p.Timeout)
	f.positive(httpField+".retryDelay", p.RetryDelay)
	if p.RetryAttempts != nil && *p.RetryAttempts < 1 {
		f.invalid(httpField+".retryAttempts", "is %d; it counts the first try too, so the least is 1", *p.RetryAttempts)
	}
	if p.Wait < 0 || p.Wait.Std() > time.Hour {
		f.invalid(httpField+".wait", "is not between 0 and 1h")
	}
	for name := range p.Headers {
		switch {
		case !headerName.MatchString(name):
			f.invalid(httpField+".headers", "%q is not the name of a header", name)
		case ownHeaders[textproto.CanonicalMIMEHeaderKey(name)]:
			f.invalid(httpField+".headers", "%s is set by the gateway; leave it out", name)
		case strings.ContainsAny(p.Headers[name].Reveal(), "\r\n\x00"):
			f.invalid(httpField+".headers", "the value of %s has a line break in it", name)
		}
	}
	f.clientTLS(httpField+".tls", p.TLS)
}

var commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

func (f *findings) gitProvider(p *GitProvider) {
	address, err := ParseGitURL(p.URL)
	if err != nil {
		f.invalid(gitField+".url", "%v", err)
	}
	if !refName(p.Branch) {
		f.invalid(gitField+".branch", "%q is not the name of a branch, a tag or a commit", p.Branch)
	}
	if p.Path != "" && !filepath.IsLocal(strings.TrimPrefix(p.Path, "/")) && strings.Trim(p.Path, "/") != "" {
		f.invalid(gitField+".path", "%q leads out of the repository", p.Path)
	}
	f.positive(gitField+".interval", p.Interval)
	f.clientTLS(gitField+".tls", p.TLS)
	if a := p.Auth; a != nil && err == nil {
		f.gitAuth(a, address.Scheme == "ssh")
	}
	if p.WebhookSecret != "" && len(p.WebhookSecret) < 16 {
		f.warn(gitField+".webhookSecret", "is shorter than 16 characters and may be guessed; take a longer one")
	}
}

func (f *findings) gitAuth(a *GitAuth, ssh bool) {
	field := gitField + ".auth"
	f.required(field+".type", a.Type, []string{"token", "basic", "ssh"})
	switch {
	case strings.EqualFold(a.Type, "ssh") && !ssh:
		f.invalid(field+".type", "is ssh, but the URL is not; write it like git@git.example.com:team/config.git")
	case !strings.EqualFold(a.Type, "ssh") && a.Type != "" && ssh:
		f.invalid(field+".type", "is %s, but the URL needs ssh", a.Type)
	case strings.EqualFold(a.Type, "ssh") && a.SSHKeyPath == "" && a.SSHKeyData == "":
		f.warn(field+".sshKeyPath", "is missing, and so is sshKeyData; the repository cannot be read without a key")
	case strings.EqualFold(a.Type, "token") && a.Token == "":
		f.warn(field+".token", "is missing; the repository is read without credentials")
	case strings.EqualFold(a.Type, "basic") && a.Username == "":
		f.warn(field+".username", "is missing; the repository is read without credentials")
	}
	if a.InsecureIgnoreHostKey {
		f.warn(field+".insecureIgnoreHostKey", "takes any server for the right one; give its key in knownHosts instead")
	}
}

// refName tells whether git would take the name; empty is the default.
func refName(name string) bool {
	if name == "" || commitHash.MatchString(name) {
		return true
	}
	bad := strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.Contains(name, "//") ||
		strings.HasPrefix(name, "-") || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") ||
		strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, ".")
	return !bad && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune("~^:?*[\\", r)
	})
}

func (f *findings) positive(field string, d Duration) {
	if d < 0 {
		f.invalid(field, "is negative; write a time such as 60s")
	}
}

func (f *findings) clientTLS(field string, t *BackendTLS) {
	if t == nil {
		return
	}
	if (t.ClientCert == "") != (t.ClientKey == "") {
		f.invalid(field+".clientCert", "needs clientKey, and clientKey needs it; give both or none")
	}
}
