// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// denials are requests that end at a middleware, one for each way that a type has
// to answer in place of the backend.
var denials = []struct {
	name, kind, rule string
	edit             func(*http.Request)
	// pass is how many requests reach the backend before.
	pass, status int
}{
	{"a closed path", "access", `{}`, nil, 0, 403},
	{"an address that is not listed", "accessPolicy", `{"sourceRanges":["198.51.100.0/24"]}`, nil, 0, 403},
	{"an address that is denied", "accessPolicy", `{"action":"DENY","sourceRanges":["192.0.2.1"]}`, nil, 0, 403},
	{"a client by its name", "userAgentBlock", `{"userAgents":["Badbot"]}`, func(r *http.Request) { r.Header.Set("User-Agent", "a badBot") }, 0, 403},
	{"a body that is too large", "bodyLimit", `{"limit":1}`, func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader("ab")), 2
	}, 0, 413},
	{"no credentials", "basic", `{"users":["ann:a"]}`, nil, 0, 401},
	{"a wrong password", "basic", `{"users":["ann:a"]}`, func(r *http.Request) { r.SetBasicAuth("ann", "b") }, 0, 401},
	{"an unknown user", "basic", `{"users":["ann:a"]}`, func(r *http.Request) { r.SetBasicAuth("bob", "a") }, 0, 401},
	{"another scheme", "basic", `{"users":["ann:a"]}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer YW5uOmE=") }, 0, 401},
	{"a service that says no", "forwardAuth", `{"authUrl":"` + authService.URL + `","authRequestHeaders":["X-No"]}`, func(r *http.Request) { r.Header.Set("X-No", "1") }, 0, 403},
	{"a service that is away", "forwardAuth", `{"authUrl":"http://` + nobodyListens + `"}`, nil, 0, 500},
	{"no credentials", "ldap", `{"url":"` + people.URL + `","baseDN":"dc=test"}`, nil, 0, 401},
	{"a wrong password", "ldap", `{"url":"` + people.URL + `","baseDN":"dc=test"}`, func(r *http.Request) { r.SetBasicAuth("ann", "b") }, 0, 401},
	{"an empty password", "ldap", `{"url":"` + people.URL + `","baseDN":"dc=test"}`, func(r *http.Request) { r.SetBasicAuth("ann", "") }, 0, 401},
	{"too many attempts", "ldap", `{"url":"` + people.URL + `","baseDN":"dc=test","connPool":{"size":1,"burst":1,"ttl":"1h"},"realm":"few"}`, tries(), 1, 429},
	{"a directory that is away", "ldap", `{"url":"ldap://` + nobodyListens + `","baseDN":"dc=test"}`, func(r *http.Request) { r.SetBasicAuth("ann", "a") }, 0, 503},
	{"a program without a session", "oauth", loginRule, func(r *http.Request) { r.Header.Set("Accept", "application/json") }, 0, 401},
	{"a form without a session", "oauth", loginRule, func(r *http.Request) { r.Method = http.MethodPost }, 0, 401},
	{"a cookie that nobody sealed", "oauth", loginRule, func(r *http.Request) {
		r.Method, r.Header["Cookie"] = http.MethodPost, []string{loggedIn[:len(loggedIn)-4] + "AAAA"}
	}, 0, 401},
	{"a provider that is away", "oauth", loginRule, nil, 0, 503},
	{"a callback that nobody asked for", "oauth", loginRule, func(r *http.Request) { r.URL.Path = "/oauth2/callback" }, 0, 400},
	{"too many requests", "rateLimit", `{"requestsPerUnit":2,"unit":"hour"}`, nil, 2, 429},
	{"a banned client", "rateLimit", `{"requestsPerUnit":1,"unit":"hour","banAfter":1}`, nil, 1, 403},
	{"an attack", "waf", `{}`, func(r *http.Request) { r.URL.RawQuery = "q=%3Cscript%3Ealert(1)%3C/script%3E" }, 0, 403},
	{"a body that cannot be looked into", "waf", `{"bodyLimit":1}`, func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader("ab")), 2
	}, 0, 413},
	{"a country", "geoBlock", `{"action":"DENY","countries":["SE"]}`, nil, 0, 403},
	{"a country that is not listed", "geoBlock", `{"action":"ALLOW","countries":["FR"]}`, nil, 0, 403},
	{"a backend that fails", "circuitBreaker", `{"consecutiveFailures":1,"failureStatuses":"418"}`, func(r *http.Request) { r.Header.Set("X-Answer", "418") }, 1, 503},
	{"a redirect of everybody", "redirect", `{"url":"/new"}`, nil, 0, 302},
	{"a redirect by pattern", "redirectRegex", `{"pattern":"^/api","replacement":"/new"}`, nil, 0, 302},
	{"a redirect", "redirectScheme", `{"scheme":"https"}`, nil, 0, 302},
	{"a redirect of a form", "redirectScheme", `{"scheme":"https"}`, func(r *http.Request) { r.Method = http.MethodPost }, 0, 307},
	{"a preflight", "responseHeaders", `{"cors":{"enabled":true,"origins":["https://a.test"]}}`, preflightOf("https://a.test"), 0, 204},
	{"a preflight of a stranger", "responseHeaders", `{"cors":{"enabled":true,"origins":["https://a.test"]}}`, preflightOf("https://evil.test"), 0, 204},
	{"a path that climbs out of its rewrite", "rewriteRegex", `{"pattern":"^/.*$","replacement":"/files/{{goma.headers.X-File}}"}`, func(r *http.Request) { r.Header.Set("X-File", "..") }, 0, 400},
	{"no token", "jwt", tokenRule, nil, 0, 401},
	{"a token that is not signed", "jwt", tokenRule, bearing("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."), 0, 401},
	{"a token of somebody else", "jwt", `{"secret":"another one than that of the token"}`, bearing(token), 0, 401},
	{"two tokens", "jwt", tokenRule, func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + token, "Bearer " + token} }, 0, 401},
	{"a token without the claim", "jwt", strings.Replace(tokenRule, "{", `{"claimsExpression":"Equals('role', 'admin')",`, 1), bearing(token), 0, 401},
	{"a token for others", "jwt", strings.Replace(tokenRule, "{", `{"audience":"api",`, 1), bearing(token), 0, 401},
	{"keys that nobody tells of", "jwt", `{"jwksUrl":"http://` + nobodyListens + `"}`, bearing("eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AAAA"), 0, 503},
	{"no key", "apiKey", keyRule, nil, 0, 401},
	{"a wrong key", "apiKey", keyRule, func(r *http.Request) { r.Header.Set("X-API-Key", apiKey+"x") }, 0, 401},
	{"two keys", "apiKey", keyRule, func(r *http.Request) { r.Header["X-Api-Key"] = []string{apiKey, apiKey} }, 0, 401},
	{"a key in the query that is asked for in a header", "apiKey", keyRule, func(r *http.Request) { r.URL.RawQuery = "X-API-Key=" + apiKey }, 0, 401},
	{"a request beside as many as there may be", "inFlightLimit", `{"maxRequests":1}`, beside(), 1, 503},
	{"a request of a client beside as many of it", "inFlightLimit", `{"maxPerClient":1}`, beside(), 1, 429},
}

// tries gives ann the right password once, and then wrong ones.
func tries() func(*http.Request) {
	var n atomic.Int32
	return func(r *http.Request) {
		password := "a"
		if i := n.Add(1); i > 1 {
			password = strings.Repeat("b", int(i))
		}
		r.SetBasicAuth("ann", password)
	}
}

// beside has one request under way, until the end of the test, while others are sent.
func beside() func(*http.Request) {
	var once sync.Once
	return func(r *http.Request) {
		once.Do(func() {
			held := r.Clone(r.Context())
			held.Header.Set("X-Hold", "1")
			resp, err := http.DefaultClient.Do(held) //nolint:bodyclose // it ends with the test
			if err != nil || resp.StatusCode != http.StatusOK {
				panic(fmt.Sprint("nothing is under way: ", err))
			}
		})
	}
}

// deniedPaths are those of types that deny nothing without paths.
var deniedPaths = map[string][]string{"access": {"/api"}}

func preflightOf(origin string) func(*http.Request) {
	return func(r *http.Request) {
		r.Method = http.MethodOptions
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", http.MethodPut)
	}
}

func TestWhatAMiddlewareAnswersTheBackendNeverSees(t *testing.T) { // M4
	t.Parallel()
	for _, c := range denials {
		t.Run(c.kind+": "+c.name, func(t *testing.T) {
			t.Parallel()
			var hits atomic.Int32
			server := serve(t, c.kind, c.rule, func(w http.ResponseWriter, r *http.Request) {
				hits.Add(1)
				if r.Header.Get("X-Answer") != "" {
					w.WriteHeader(http.StatusTeapot)
				}
				if r.Header.Get("X-Hold") != "" {
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
				}
			}, deniedPaths[c.kind]...)
			client := http.Client{Transport: server.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			for i := range c.pass + 3 {
				status, body := send(t, &client, server.URL+"/api", c.edit)
				if want := c.status; i >= c.pass && status != want {
					t.Errorf("request %d: status %d, want %d", i+1, status, want)
				}
				if i >= c.pass && c.status >= 400 && body == "" {
					t.Errorf("request %d: a refusal without a word", i+1)
				}
			}
			if got := int(hits.Load()); got != c.pass {
				t.Errorf("the backend saw %d requests, want %d", got, c.pass)
			}
		})
	}
}

func send(t *testing.T, client *http.Client, url string, edit func(*http.Request)) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(r)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestEveryTypeThatProtectsIsAmongTheDenials(t *testing.T) { // M4
	t.Parallel()
	listed := map[string]bool{}
	for _, c := range denials {
		listed[c.kind] = true
	}
	for _, name := range built() {
		if kind, _ := Lookup(name); kind.Security && !listed[name] {
			t.Errorf("%s protects, but no denial of it is tested", name)
		}
	}
}
