// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func openID(i *issuer) map[string]any { return map[string]any{"issuer": i.URL} }

func TestALoginEndsAtThePageThatWasAskedFor(t *testing.T) { // M9, M11, M13
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	b := s.browser()
	resp := b.visit(s.URL + "/shop/cart?id=1&b=%2F")
	if resp.StatusCode != http.StatusOK || s.hits() != 1 || i.logins != 1 {
		t.Fatalf("status %d, %d hits, %d logins", resp.StatusCode, s.hits(), i.logins)
	}
	if got := s.last().URL.RequestURI(); got != "/shop/cart?id=1&b=%2F" {
		t.Errorf("the browser lands at %s", got)
	}
	if got := s.last().Header["Cookie"]; len(got) != 0 { // M11
		t.Errorf("the backend sees %q", got)
	}
	for range 3 {
		if resp := b.get(s.URL+"/api", saying("Accept", "application/json")); resp.StatusCode != http.StatusOK {
			t.Errorf("status %d within the session", resp.StatusCode)
		}
	}
	if i.logins != 1 {
		t.Errorf("%d logins", i.logins)
	}
}

func TestWhoIsNotLoggedInNeverReachesTheBackend(t *testing.T) { // M4, M1, M13
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	for name, c := range map[string]struct {
		method string
		header [2]string
		want   int
	}{
		"a browser":                  {http.MethodGet, [2]string{"Accept", "text/html,*/*;q=0.8"}, 307},
		"a navigation":               {http.MethodGet, [2]string{"Sec-Fetch-Mode", "navigate"}, 307},
		"a client that says nothing": {http.MethodGet, [2]string{"X-A", "1"}, 307},
		"curl":                       {http.MethodGet, [2]string{"Accept", "*/*"}, 307},
		"a look at the head":         {http.MethodHead, [2]string{"Accept", "text/html"}, 307},
		"a form":                     {http.MethodPost, [2]string{"Accept", "text/html"}, 401},
		"a preflight":                {http.MethodOptions, [2]string{"Accept", "text/html"}, 401},
		"a deletion":                 {http.MethodDelete, [2]string{"Accept", "*/*"}, 401},
		"an API call":                {http.MethodGet, [2]string{"Accept", "application/json"}, 401},
		"an API call of axios":       {http.MethodGet, [2]string{"Accept", "application/json, text/plain, */*"}, 401},
		"a script of the page":       {http.MethodGet, [2]string{"Sec-Fetch-Mode", "cors"}, 401},
		"an old script":              {http.MethodGet, [2]string{"X-Requested-With", "XMLHttpRequest"}, 401},
		"a WebSocket":                {http.MethodGet, [2]string{"Upgrade", "websocket"}, 401},
		"a bearer token":             {http.MethodPost, [2]string{"Authorization", "Bearer x"}, 401},
	} {
		resp := s.browser().get(s.URL+"/metrics", func(r *http.Request) { r.Method = c.method }, saying(c.header[0], c.header[1]))
		if resp.StatusCode != c.want || (c.want == 401) != (len(resp.Cookies()) == 0) {
			t.Errorf("%s: status %d with %v", name, resp.StatusCode, resp.Cookies())
		}
	}
	if s.hits() != 0 {
		t.Errorf("the backend saw %d requests", s.hits())
	}
}

func TestEachLoginIsItsOwn(t *testing.T) { // M9
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(map[string]any{"issuer": i.URL, "state": "always-the-same"})
	seen := map[string]bool{}
	for range 5 {
		target, err := s.browser().get(s.URL + "/").Location()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			value := target.Query().Get(name)
			if seen[value] || value == "" || value == "always-the-same" {
				t.Errorf("%s %q comes again", name, value)
			}
			seen[value] = true
		}
	}
}

// callback begins a login, and gives the address to which the provider sends the
// browser back.
func callback(t *testing.T, b *browser, page string) *url.URL {
	t.Helper()
	login, err := b.get(page).Location()
	if err != nil {
		t.Fatal(err)
	}
	back, err := b.get(login.String()).Location()
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestACallbackThatIsNotOfThisLoginIsRefused(t *testing.T) { // M9
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	change := func(change func(url.Values)) func(*url.URL) *url.URL {
		return func(u *url.URL) *url.URL {
			q := u.Query()
			change(q)
			out := *u
			out.RawQuery = q.Encode()
			return &out
		}
	}
	for name, c := range map[string]struct {
		edit func(*url.URL) *url.URL
		want int
	}{
		"as it is":            {change(func(url.Values) {}), 303},
		"without a state":     {change(func(q url.Values) { q.Del("state") }), 400},
		"with another state":  {change(func(q url.Values) { q.Set("state", "x") }), 400},
		"with two states":     {change(func(q url.Values) { q.Add("state", "x") }), 400},
		"without a code":      {change(func(q url.Values) { q.Del("code") }), 400},
		"with two codes":      {change(func(q url.Values) { q.Add("code", "x") }), 400},
		"with a made-up code": {change(func(q url.Values) { q.Set("code", "x") }), 500},
		"of another issuer":   {change(func(q url.Values) { q.Set("iss", "https://evil.test") }), 500},
		"with a refusal":      {change(func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }), 403},
		"with an error":       {change(func(q url.Values) { q.Del("code"); q.Set("error", "server_error") }), 400},
	} {
		b := s.browser()
		resp := b.get(c.edit(callback(t, b, s.URL+"/")).String())
		if resp.StatusCode != c.want || (sessionCookie(resp) != nil) != (c.want == 303) {
			t.Errorf("%s: status %d with %v", name, resp.StatusCode, resp.Cookies())
		}
	}
	if s.hits() != 0 { // M12
		t.Errorf("the backend saw %d callbacks", s.hits())
	}
}

func TestALoginIsBoundToItsBrowserAndGoodOnce(t *testing.T) { // M9
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	attacker, victim := s.browser(), s.browser()
	back := callback(t, attacker, s.URL+"/")
	if resp := victim.get(back.String()); resp.StatusCode != http.StatusBadRequest || sessionCookie(resp) != nil {
		t.Errorf("another browser: status %d", resp.StatusCode)
	}
	stolen := attacker.Jar.Cookies(back)
	if resp := attacker.get(back.String()); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("its own browser: status %d", resp.StatusCode)
	}
	if resp := attacker.get(back.String()); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a second time: status %d", resp.StatusCode)
	}
	again := s.browser()
	again.Jar.SetCookies(back, stolen)
	if resp := again.get(back.String()); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a second time with the cookie: status %d", resp.StatusCode)
	}
}

func TestTheCallbackIsOneExactPathAndNotOfThisMethod(t *testing.T) { // M12
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.paths = []string{"/admin"}
	s.use(openID(i))
	b := s.browser()
	for path, want := range map[string]int{
		"/oauth2/callback": 400, "/oauth2/%63allback": 400, "/x/../oauth2/callback": 400, // one normal form
		"/oauth2/callback/x": 200, "/oauth2/callbacks": 200, "/admin": 307, // outside of paths
	} {
		if resp := b.get(s.URL + path); resp.StatusCode != want {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
	}
	if resp := b.get(s.URL+"/oauth2/callback", func(r *http.Request) { r.Method = http.MethodPost }); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", resp.StatusCode)
	}
	if resp := b.visit(s.URL + "/admin"); resp.StatusCode != http.StatusOK || s.last().URL.Path != "/admin" {
		t.Errorf("a login from outside of paths: status %d", resp.StatusCode)
	}
}

func TestNoLoginLeadsToAnotherHost(t *testing.T) { // M13
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	for _, page := range []string{"//evil.test/", `/\evil.test/`, "/%5Cevil.test", "/%2F%2Fevil.test", "/x/..//evil.test", "/a?rd=//evil.test", "/%09/evil.test"} {
		b := s.browser()
		login := b.get(s.URL + page)
		if login.StatusCode == http.StatusBadRequest {
			continue // the entry point refuses such a path
		}
		target, err := login.Location()
		if err != nil {
			t.Fatal(err)
		}
		back, err := b.get(target.String()).Location()
		if err != nil {
			t.Fatal(err)
		}
		to := b.get(back.String()).Header.Get("Location")
		if u, err := url.Parse(to); err != nil || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`) {
			t.Errorf("%s leads to %q", page, to)
		}
	}
}

func TestAConfiguredPageIsWhereLoginsEnd(t *testing.T) {
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(map[string]any{"issuer": i.URL, "redirectPath": "/home?x=1"})
	if s.browser().visit(s.URL + "/deep"); s.last() == nil || s.last().URL.RequestURI() != "/home?x=1" {
		t.Errorf("the browser lands at %v", s.last())
	}
}

// An ID token is checked in full before it says who somebody is. M10
func TestAnIDTokenThatIsNotForUsIsNoLogin(t *testing.T) {
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	none := func(data []byte) string {
		encode := func(text string) string { return strings.TrimRight(url64(text), "=") }
		return encode(`{"alg":"none"}`) + "." + encode(string(data)) + "."
	}
	for name, lie := range map[string]func(){
		"another issuer":      func() { i.claims = map[string]any{"iss": "https://evil.test"} },
		"another client":      func() { i.claims = map[string]any{"aud": "other"} },
		"two clients, no azp": func() { i.claims = map[string]any{"aud": []string{testClient, "other"}} },
		"another party":       func() { i.claims = map[string]any{"azp": "other"} },
		"expired":             func() { i.claims = map[string]any{"exp": 1} },
		"not yet":             func() { i.claims = map[string]any{"nbf": 99999999999} },
		"another login":       func() { i.claims = map[string]any{"nonce": "other"} },
		"no login":            func() { i.claims = map[string]any{"nonce": nil} },
		"nobody":              func() { i.claims = map[string]any{"sub": ""} },
		"alg none":            func() { i.sign = none },
		"HS256 with the secret": func() {
			i.sign = func(d []byte) string { return signed(t, jose.HS256, []byte(strings.Repeat(testSecret, 2)), d) }
		},
		"RS512, which is not told": func() { i.sign = func(d []byte) string { return signed(t, jose.RS512, signingKey(), d) } },
		"no token at all":          func() { i.sign = func([]byte) string { return "" } },
		"what is no token":         func() { i.sign = func([]byte) string { return strings.Repeat("a.", 10000) } },
	} {
		i.set(func() { i.claims, i.sign = nil, nil; lie() })
		b := s.browser()
		if resp := b.get(callback(t, b, s.URL+"/").String()); resp.StatusCode != http.StatusInternalServerError || sessionCookie(resp) != nil {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
	}
	i.set(func() {
		i.claims, i.sign = map[string]any{"aud": []string{testClient, "other"}, "azp": testClient}, nil
	})
	if resp := s.browser().visit(s.URL + "/"); resp.StatusCode != http.StatusOK {
		t.Errorf("two clients, and we are the party: status %d", resp.StatusCode)
	}
}

func TestASelfMadeCookieIsNoLogin(t *testing.T) { // M10, M11
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	b := s.browser()
	back := callback(t, b, s.URL+"/")
	good := sessionCookie(b.get(back.String()))
	if good == nil {
		t.Fatal("no session")
	}
	var loginValue string
	for _, c := range s.browser().get(s.URL + "/").Cookies() {
		loginValue = c.Value
	}
	token := i.idToken("")
	for name, cookie := range map[string]string{
		"the session itself":      good.Name + "=" + good.Value,
		"a changed session":       good.Name + "=" + good.Value[:len(good.Value)-2] + "AA",
		"a login as a session":    good.Name + "=" + loginValue,
		"an ID token":             good.Name + "=" + token,
		"an access token by name": "goma_access_token=" + token,
		"plain JSON":              good.Name + `={"i":"x","u":99999999999,"e":99999999999}`,
		"an empty one":            good.Name + "=",
	} {
		resp := s.browser().get(s.URL+"/", saying("Cookie", cookie))
		if want := map[bool]int{true: 200, false: 307}[name == "the session itself"]; resp.StatusCode != want {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
	}
	for name, other := range map[string]map[string]any{
		"of another client":   {"issuer": i.URL, "clientId": "other"},
		"of another secret":   {"issuer": i.URL, "sessionSecret": "another secret, which is long"},
		"of another provider": {"endpoint": map[string]any{"authUrl": i.URL + "/auth2", "tokenUrl": i.URL + "/token"}},
	} {
		second := newSite(t, false).use(other)
		if resp := second.browser().get(second.URL+"/", saying("Cookie", good.Name+"="+good.Value)); resp.StatusCode == 200 {
			t.Errorf("a session %s is good: status %d", name, resp.StatusCode)
		}
	}
}

func TestCookiesAreSealedAndForThisHostAlone(t *testing.T) { // M11
	t.Parallel()
	i, s := newIssuer(t), newSite(t, true)
	s.use(map[string]any{"issuer": i.URL, "forwardAccessToken": true})
	b := s.browser()
	login := b.get(s.URL + "/")
	target, err := login.Location()
	if err != nil {
		t.Fatal(err)
	}
	back, err := b.get(target.String()).Location()
	if err != nil {
		t.Fatal(err)
	}
	end := b.get(back.String())
	all := append(login.Cookies(), sessionCookie(end))
	if len(all) != 2 || all[1] == nil {
		t.Fatalf("cookies %v", all)
	}
	for _, c := range all {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge <= 0 {
			t.Errorf("cookie %v", c)
		}
		if strings.Contains(c.Value, "access-") || strings.Contains(c.Value, target.Query().Get("state")) {
			t.Errorf("%s can be read", c.Name)
		}
	}
	if resp := b.get(s.URL + "/"); resp.StatusCode != 200 || !strings.HasPrefix(s.last().Header.Get("Authorization"), "Bearer access-") {
		t.Errorf("status %d, %v", resp.StatusCode, s.last().Header)
	}
}

func TestTheCookieOfARouteBelowIsForThatRoute(t *testing.T) { // M11
	t.Parallel()
	i, s := newIssuer(t), newSite(t, true)
	s.route = "/app/"
	s.use(openID(i))
	b := s.browser()
	back := callback(t, b, s.URL+"/app/x")
	c := sessionCookie(b.get(back.String()))
	if c == nil || !strings.HasPrefix(c.Name, "__Secure-") || c.Path != "/app" {
		t.Fatalf("cookie %v", c)
	}
	if resp := b.get(s.URL + "/app/x"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestTwoReplicasShareSessionsAndLogins(t *testing.T) { // M11
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(openID(i))
	b := s.browser()
	back := callback(t, b, s.URL+"/") // begun at one replica
	s.use(openID(i))                  // finished at another one, without its memory
	if resp := b.get(back.String()); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d", resp.StatusCode)
	}
	s.use(openID(i))
	if resp := b.get(s.URL + "/"); resp.StatusCode != 200 || i.logins != 1 {
		t.Errorf("status %d after %d logins", resp.StatusCode, i.logins)
	}
}

func TestTheBackendLearnsClaimsAndNothingTheClientSays(t *testing.T) { // P8
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	i.claims = map[string]any{"realm": map[string]any{"role": "admin"}, "bad": "a\r\nX-Evil: 1", "https://x.test/y": "z"}
	s.paths = []string{"/in"}
	s.use(map[string]any{"issuer": i.URL, "forwardHeaders": map[string]string{
		"X-User-Id": "sub", "X-Email": "email", "X-Groups": "groups", "X-Role": "realm.role", "X-None": "nothing", "X-Bad": "bad", "X-Url": "https://x.test/y",
	}})
	b := s.browser()
	b.visit(s.URL + "/in")
	spoof := func(r *http.Request) {
		for _, name := range []string{"X-User-Id", "X_User_Id", "x-user_id", "X-None", "X_Email", "X-Bad"} {
			r.Header[name] = []string{"root"}
		}
	}
	for path, want := range map[string]map[string]string{
		"/in":  {"X-User-Id": "ann", "X-Email": "ann@shop.test", "X-Groups": "a,b", "X-Role": "admin", "X-Url": "z"},
		"/out": {},
	} {
		if resp := b.get(s.URL+path, spoof); resp.StatusCode != 200 {
			t.Fatalf("%s: status %d", path, resp.StatusCode)
		}
		got := map[string]string{}
		for name, values := range s.last().Header {
			if name = strings.ToLower(name); strings.HasPrefix(name, "x") {
				got[http.CanonicalHeaderKey(name)] = strings.Join(values, "|")
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v", path, got)
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %s is %q", path, name, got[name])
			}
		}
		if cookie := s.last().Header.Get("Cookie"); cookie != "" {
			t.Errorf("%s: cookie %q", path, cookie)
		}
	}
}

func TestTheUserInfoIsOfTheSameUser(t *testing.T) { // M10
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	i.userInfo = map[string]any{"sub": "bob"}
	s.use(map[string]any{"issuer": i.URL, "forwardHeaders": map[string]string{"X-Email": "email"}})
	b := s.browser()
	if resp := b.get(callback(t, b, s.URL+"/").String()); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestOpaqueTokensOfPlainOAuthWork(t *testing.T) { // M10
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	i.plain, i.lasts = true, 0
	endpoint := map[string]any{"authUrl": i.URL + "/auth", "tokenUrl": i.URL + "/token", "userInfoUrl": i.URL + "/userinfo"}
	s.use(map[string]any{"provider": "Custom", "endpoint": endpoint, "forwardHeaders": map[string]string{"X-Id": "id"}, "scopes": []string{"read"}})
	b := s.browser()
	if resp := b.visit(s.URL + "/"); resp.StatusCode != 200 || s.last().Header.Get("X-Id") != "9007199254740993" {
		t.Fatalf("status %d", resp.StatusCode)
	}
	delete(endpoint, "userInfoUrl")
	s.use(map[string]any{"endpoint": endpoint})
	if resp := s.browser().visit(s.URL + "/"); resp.StatusCode != 200 {
		t.Errorf("without userinfo: status %d", resp.StatusCode)
	}
}

func TestAKeySetWithoutAnIssuerTakesThatOfTheLoginPage(t *testing.T) { // M10
	t.Parallel()
	i, s := newIssuer(t), newSite(t, false)
	s.use(map[string]any{"endpoint": map[string]any{"authUrl": i.URL + "/auth", "tokenUrl": i.URL + "/token", "jwksUrl": i.URL + "/keys"}})
	if resp := s.browser().visit(s.URL + "/"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	i.set(func() { i.claims = map[string]any{"iss": "https://evil.test"} })
	b := s.browser()
	if resp := b.get(callback(t, b, s.URL+"/").String()); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("another issuer: status %d", resp.StatusCode)
	}
}
