// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
	"time"
)

func TestASourceThatCannotBeAskedIsRefused(t *testing.T) { // S3, S4
	t.Parallel()
	zero, three := 0, 3
	for _, c := range []struct {
		name  string
		p     Providers
		field string // empty: nothing is wrong
	}{
		{"a URL", Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "https://c.example.com/r", RetryAttempts: &three}}, ""},
		{"a source that is off", Providers{HTTP: &HTTPProvider{Endpoint: "nonsense"}, Git: &GitProvider{URL: "nonsense"}}, ""},
		{"a URL without host", Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "https:///r"}}, "gateway.providers.http.endpoint"},
		{"a local file as URL", Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "file:///etc/passwd"}}, "gateway.providers.http.endpoint"},
		{"no try at all", Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "http://c", RetryAttempts: &zero}}, "gateway.providers.http.retryAttempts"},
		{"a negative interval", Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "http://c", Interval: -1}}, "gateway.providers.http.interval"},
		{"a wait of a day", Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "http://c", Wait: Duration(24 * time.Hour)}}, "gateway.providers.http.wait"},
		{"a header with a space", Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "http://c", Headers: map[string]Secret{"a b": "c"}}}, "gateway.providers.http.headers"},
		{"a header of the protocol", Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "http://c", Headers: map[string]Secret{"if-none-match": "c"}}}, "gateway.providers.http.headers"},
		{"a header with a line break", Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "http://c", Headers: map[string]Secret{"a": "b\r\nc: d"}}}, "gateway.providers.http.headers"},
		{"half of a client certificate", Providers{HTTP: &HTTPProvider{Enabled: true, Endpoint: "http://c", TLS: &BackendTLS{ClientCert: "/c"}}}, "gateway.providers.http.tls.clientCert"},
		{"a repository over https", Providers{Git: &GitProvider{Enabled: true, URL: "https://g.example.com/t/r.git", Path: "/a/b/"}}, ""},
		{"a repository over ssh", Providers{Git: &GitProvider{Enabled: true, URL: "git@g.example.com:t/r.git", Auth: &GitAuth{Type: "ssh", SSHKeyPath: "/k"}}}, ""},
		{"the root of a repository", Providers{Git: &GitProvider{Enabled: true, URL: "https://g.example.com/t/r.git", Path: "/"}}, ""},
		{"a local repository", Providers{Git: &GitProvider{Enabled: true, URL: "/srv/git/r.git"}}, "gateway.providers.git.url"},
		{"a repository of files", Providers{Git: &GitProvider{Enabled: true, URL: "file:///srv/git/r.git"}}, "gateway.providers.git.url"},
		{"a protocol that checks nobody", Providers{Git: &GitProvider{Enabled: true, URL: "git://g.example.com/r.git"}}, "gateway.providers.git.url"},
		{"a helper program", Providers{Git: &GitProvider{Enabled: true, URL: "ext::sh -c touch% /tmp/x"}}, "gateway.providers.git.url"},
		{"an option as host", Providers{Git: &GitProvider{Enabled: true, URL: "ssh://-oProxyCommand=x/r"}}, "gateway.providers.git.url"},
		{"a path out of the repository", Providers{Git: &GitProvider{Enabled: true, URL: "https://g/r", Path: "a/../../b"}}, "gateway.providers.git.path"},
		{"a branch that git refuses", Providers{Git: &GitProvider{Enabled: true, URL: "https://g/r", Branch: "a..b"}}, "gateway.providers.git.branch"},
		{"a branch with a line break", Providers{Git: &GitProvider{Enabled: true, URL: "https://g/r", Branch: "a\nb"}}, "gateway.providers.git.branch"},
		{"credentials of no type", Providers{Git: &GitProvider{Enabled: true, URL: "https://g/r", Auth: &GitAuth{}}}, "gateway.providers.git.auth.type"},
		{"a key for https", Providers{Git: &GitProvider{Enabled: true, URL: "https://g/r", Auth: &GitAuth{Type: "ssh", SSHKeyPath: "/k"}}}, "gateway.providers.git.auth.type"},
		{"a token for ssh", Providers{Git: &GitProvider{Enabled: true, URL: "g:r", Auth: &GitAuth{Type: "token", Token: "t"}}}, "gateway.providers.git.auth.type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &File{Gateway: Gateway{Providers: c.p}}
			var fields []string
			for _, p := range ValidateFile(f) {
				if p.Severity == SeverityError {
					fields = append(fields, p.Field)
				}
			}
			if got := strings.Join(fields, " "); got != c.field {
				t.Errorf("errors of %q, want %q", got, c.field)
			}
		})
	}
}

func TestTheURLOfARepositoryIsTakenApart(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]GitAddress{
		"https://u:p@g.example.com:8443/t/r.git": {Scheme: "https", Host: "g.example.com:8443", Path: "/t/r.git", User: "u", Password: "p"},
		"ssh://git@g.example.com:2222/~me/r.git": {Scheme: "ssh", Host: "g.example.com:2222", Path: "~me/r.git", User: "git"},
		"ssh://g.example.com/srv/r.git":          {Scheme: "ssh", Host: "g.example.com", Path: "/srv/r.git"},
		"git@g.example.com:t/r.git":              {Scheme: "ssh", Host: "g.example.com", Path: "t/r.git", User: "git"},
		"g.example.com:/srv/r.git":               {Scheme: "ssh", Host: "g.example.com", Path: "/srv/r.git"},
	} {
		got, err := ParseGitURL(in)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
		if strings.Contains(got.String(), "p@") || strings.Contains(got.String(), "git@") {
			t.Errorf("%s is shown as %s", in, got)
		}
	}
}

func TestHeadersThatMustNotStandInAFileComeFromTheEnvironment(t *testing.T) { // C8
	t.Parallel()
	env := func(values map[string]string) Expander {
		return func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	}
	f := &File{Gateway: Gateway{Providers: Providers{HTTP: &HTTPProvider{Headers: map[string]Secret{"A": "file", "B": "file"}}}}}
	problems := f.ApplyEnvironment(env(map[string]string{
		"GOMA_HTTP_HEADERS": `{"B":"key=${KEY}","C":"${LOST}"}`, "KEY": `x"${GOMA}`,
	}))
	h := f.Gateway.Providers.HTTP.Headers
	if h["A"] != "file" || h["B"] != `key=x"${GOMA}` {
		t.Errorf("headers %#v", map[string]string{"A": h["A"].Reveal(), "B": h["B"].Reveal()})
	}
	if _, ok := h["C"]; ok {
		t.Error("a header whose variable is not set is sent")
	}
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "is not set") {
		t.Errorf("problems %v", problems)
	}
	f.Gateway.Providers.HTTP.Headers = nil
	problems = f.ApplyEnvironment(env(map[string]string{"GOMA_HTTP_HEADERS": "canary"}))
	if len(problems) != 1 || strings.Contains(problems[0].String(), "canary") {
		t.Errorf("problems %v", problems)
	}
}
