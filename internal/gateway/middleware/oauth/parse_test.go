// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

const (
	client   = `"clientId":"c","clientSecret":"s3cret","redirectUrl":"https://app.test/cb"`
	endpoint = `"endpoint":{"authUrl":"https://id.test/a","tokenUrl":"https://id.test/t"}`
)

func TestWhatCannotBeMeantIsRefusedWithoutRepeatingIt(t *testing.T) { // C6, C8, C2, M13
	t.Parallel()
	const good = `{` + client + `,` + endpoint
	for rule, field := range map[string]string{
		`{"clientSecret":"s3cret","redirectUrl":"https://app.test/cb",` + endpoint + `}`:                                                        "rule.clientId",
		`{"clientId":"c","redirectUrl":"https://app.test/cb",` + endpoint + `}`:                                                                 "rule.clientSecret",
		`{"clientId":"c","clientSecret":"${S3CRET}","redirectUrl":"https://app.test/cb",` + endpoint + `}`:                                      "rule.clientSecret",
		`{"clientId":"c","clientSecretFrom":{"secretKeyRef":{"name":"s3cret","key":"k"}},"redirectUrl":"https://app.test/cb",` + endpoint + `}`: "rule.clientSecretFrom",
		`{"clientId":"c","clientSecret":"s3cret",` + endpoint + `}`:                                                                             "rule.redirectUrl",
		`{"clientId":"c","clientSecret":"s3cret","redirectUrl":"/cb",` + endpoint + `}`:                                                         "rule.redirectUrl",
		`{"clientId":"c","clientSecret":"s3cret","redirectUrl":"https://app.test",` + endpoint + `}`:                                            "rule.redirectUrl",
		`{"clientId":"c","clientSecret":"s3cret","redirectUrl":"https://app.test/",` + endpoint + `}`:                                           "rule.redirectUrl",
		`{"clientId":"c","clientSecret":"s3cret","redirectUrl":"https://app.test/cb#x",` + endpoint + `}`:                                       "rule.redirectUrl",
		`{` + client + `}`: "rule.endpoint.authUrl",
		`{` + client + `,"endpoint":{"authUrl":"https://id.test/a"}}`:                 "rule.endpoint.tokenUrl",
		`{` + client + `,"provider":"mine"}`:                                          "rule.provider",
		`{` + client + `,"issuer":"id.test"}`:                                         "rule.issuer",
		`{` + client + `,"issuer":"https://${ID}"}`:                                   "rule.issuer",
		good + `,"scopes":["a b"]}`:                                                   "rule.scopes[0]",
		good + `,"redirectPath":"//evil.test"}`:                                       "rule.redirectPath",
		good + `,"redirectPath":"/\\evil.test"}`:                                      "rule.redirectPath",
		good + `,"redirectPath":"https://evil.test"}`:                                 "rule.redirectPath",
		good + `,"cookiePath":"app"}`:                                                 "rule.cookiePath",
		good + `,"cookiePath":"/a; Domain=x"}`:                                        "rule.cookiePath",
		good + `,"cookieDomain":"other.test"}`:                                        "rule.cookieDomain",
		good + `,"cookieDomain":"test"}`:                                              "rule.cookieDomain",
		good + `,"logoutPath":"/"}`:                                                   "rule.logoutPath",
		good + `,"logoutPath":"/cb"}`:                                                 "rule.logoutPath",
		good + `,"logoutPath":"/out","logoutRedirect":"//evil.test"}`:                 "rule.logoutRedirect",
		good + `,"sessionSecret":"s3cret"}`:                                           "rule.sessionSecret",
		good + `,"sessionSecret":"${S3CRET}"}`:                                        "rule.sessionSecret",
		good + `,"sessionSecretFrom":{"secretKeyRef":{"name":"s3cret"}}}`:             "rule.sessionSecretFrom",
		good + `,"sessionTTL":"-1s"}`:                                                 "rule.sessionTTL",
		good + `,"sessionTTL":"10000h"}`:                                              "rule.sessionTTL",
		good + `,"rootCAs":"/etc/passwd"}`:                                            "rule.rootCAs", // T8
		good + `,"forwardHeaders":{"X-User":"sub"}}`:                                  "rule.forwardHeaders",
		`{` + client + `,"issuer":"https://id.test","forwardHeaders":{"Host":"sub"}}`: "rule.forwardHeaders.Host",
		`{` + client + `,"issuer":"https://id.test","forwardHeaders":{"X A":"sub"}}`:  "rule.forwardHeaders.X A",
		`{` + client + `,"issuer":"https://id.test","forwardHeaders":{"X-A":""}}`:     "rule.forwardHeaders.X-A",
		`{` + client + `,"issuer":"https://id.test","forwardAccessToken":true,"forwardHeaders":{"authorization":"sub"}}`: "rule.forwardHeaders.Authorization",
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed != nil || len(problems) != 1 || problems[0].Field != field || strings.Contains(problems[0].Message, "s3cret") {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func TestWhatHasNoEffectOrIsRiskyIsSaid(t *testing.T) {
	t.Parallel()
	for rule, severity := range map[string]config.Severity{
		`{` + client + `,` + endpoint + `,"state":"x"}`:                                           config.SeverityNote,
		`{` + client + `,` + endpoint + `,"logoutRedirect":"/"}`:                                  config.SeverityWarning,
		`{"clientId":"c","clientSecret":"s","redirectUrl":"http://app.test/cb",` + endpoint + `}`: config.SeverityWarning,
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed == nil || len(problems) != 1 || problems[0].Severity != severity {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

func TestProvidersAreKnownByName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"google":   {"https://accounts.google.com", "", "openid profile email"},
		"GitLab":   {"https://gitlab.com", "", "openid profile email"},
		"github":   {"", "https://github.com/login/oauth/authorize", "read:user user:email"},
		"amazon":   {"", "https://www.amazon.com/ap/oa", "profile"},
		"facebook": {"", "https://www.facebook.com/v23.0/dialog/oauth", "public_profile email"},
	} {
		parsed, problems := parse(json.RawMessage(`{` + client + `,"provider":"` + name + `"}`))
		if parsed == nil {
			t.Fatal(problems)
		}
		r := parsed.(*rule)
		if got := []string{r.issuer, string(r.endpoint.AuthURL), strings.Join(r.scopes, " ")}; !slices.Equal(got, want) || len(problems) != 0 {
			t.Errorf("%s: %q, %v", name, got, problems)
		}
	}
	parsed, _ := parse(json.RawMessage(`{` + client + `,"issuer":"https://id.test","scopes":["groups"]}`))
	if got := parsed.(*rule).scopes; !slices.Equal(got, []string{"openid", "groups"}) {
		t.Errorf("scopes %q", got)
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{` + client + `,` + endpoint + `}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
