// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// GitKeyFile is the name of the private key in GitKeyDir; the keys of servers, if
// the Secret has them, are in known_hosts beside it.
const GitKeyFile = "ssh-privatekey"

// providers turns on the sources. One that no gateway could run stays out of the
// file, which would keep the others from serving, and is reported.
func providers(out *config.Providers, gw *v1alpha1.Gateway) []config.Problem {
	if SidecarEnabled(gw) {
		out.File = &config.FileProvider{Enabled: true, Directory: ProviderDir, Watch: true, Indexed: true}
	}
	p := gw.Spec.Providers
	if p == nil {
		return nil
	}
	var problems []config.Problem
	if p.HTTP != nil && p.HTTP.Enabled {
		h := httpProvider(p.HTTP)
		found := providerProblems(gw, config.Providers{HTTP: h})
		if withPassword(h.Endpoint) {
			found = append(found, passwordInURL(gw, "spec.providers.http.endpoint", "headersSecret, as the header Authorization"))
		}
		if problems = append(problems, found...); !config.HasErrors(found) {
			out.HTTP = h
		}
	}
	if p.Git != nil && p.Git.Enabled {
		g := gitProvider(p.Git)
		found := providerProblems(gw, config.Providers{Git: g})
		if withPassword(g.URL) {
			found = append(found, passwordInURL(gw, "spec.providers.git.url", "auth.secretName"))
		}
		if problems = append(problems, found...); !config.HasErrors(found) {
			out.Git = g
		}
	}
	return problems
}

// providerProblems are those that the gateway would find, by the fields of the
// custom resource.
func providerProblems(gw *v1alpha1.Gateway, p config.Providers) []config.Problem {
	f := &config.File{Gateway: config.Gateway{Providers: p}}
	f.ApplyDefaults()
	var list []config.Problem
	for _, problem := range config.ValidateFile(f) {
		if !strings.HasPrefix(problem.Field, "gateway.providers.") {
			continue
		}
		problem.Object, problem.Position = gatewayRef(gw), config.Position{}
		problem.Field = "spec" + strings.TrimPrefix(problem.Field, "gateway")
		list = append(list, problem)
	}
	return list
}

func httpProvider(p *v1alpha1.HTTPProvider) *config.HTTPProvider {
	out := &config.HTTPProvider{
		Enabled:            true,
		Endpoint:           p.Endpoint,
		Interval:           span(p.Interval),
		Timeout:            span(p.Timeout),
		RetryAttempts:      p.RetryAttempts,
		RetryDelay:         span(p.RetryDelay),
		CacheDir:           p.CacheDir,
		InsecureSkipVerify: p.InsecureSkipVerify,
	}
	for name, value := range p.Headers {
		if isReference.MatchString(value) {
			if out.Headers == nil {
				out.Headers = map[string]config.Secret{}
			}
			out.Headers[name] = config.Secret(value)
		}
	}
	return out
}

var isReference = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)

// HiddenHeaders are the headers of the HTTP source that are more than the name of a
// variable: they may be credentials, and reach the gateway through the variable
// EnvHTTPHeaders, as an object of JSON. Nil when there are none.
func HiddenHeaders(gw *v1alpha1.Gateway) map[string]string {
	p := gw.Spec.Providers
	if p == nil || p.HTTP == nil || !p.HTTP.Enabled {
		return nil
	}
	hidden := maps.Clone(p.HTTP.Headers)
	maps.DeleteFunc(hidden, func(_, value string) bool { return isReference.MatchString(value) })
	if len(hidden) == 0 {
		return nil
	}
	return hidden
}

func gitProvider(p *v1alpha1.GitProvider) *config.GitProvider {
	out := &config.GitProvider{
		Enabled:  true,
		URL:      p.URL,
		Branch:   p.Branch,
		Path:     p.Path,
		Interval: span(p.Interval),
		CloneDir: p.CloneDir,
	}
	if p.Auth == nil {
		return out
	}
	out.Auth = &config.GitAuth{Type: p.Auth.Type}
	switch p.Auth.Type {
	case "token":
		out.Auth.Token = variable(EnvGitToken)
	case "basic":
		out.Auth.Username, out.Auth.Password = variable(EnvGitUsername), variable(EnvGitPassword)
	case "ssh":
		out.Auth.SSHKeyPath = GitKeyDir + "/" + GitKeyFile
	}
	return out
}

// withPassword tells whether a URL holds a credential, which would be readable in
// the ConfigMap.
func withPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return false
	}
	_, ok := u.User.Password()
	return ok || slices.Contains([]string{"http", "https"}, u.Scheme)
}

func passwordInURL(gw *v1alpha1.Gateway, field, place string) config.Problem {
	return config.Problem{
		Object: gatewayRef(gw), Field: field, Reason: config.ReasonInvalid,
		Message: "holds a user or a password, which everybody could read in the ConfigMap; put it into a Secret and name that in " + place,
	}
}

func gatewayRef(gw *v1alpha1.Gateway) config.ObjectRef {
	return resolve.GatewayRef(types.NamespacedName{Namespace: gw.Namespace, Name: gw.Name})
}
