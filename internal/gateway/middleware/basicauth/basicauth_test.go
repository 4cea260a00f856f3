// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package basicauth

import (
	"context"
	"crypto/sha1" //nolint:gosec // what htpasswd -s writes
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// guard is a rule in front of a backend that remembers what reached it.
type guard struct {
	t    *testing.T
	h    http.Handler
	seen []http.Header
}

func newGuard(t *testing.T, rule string, paths ...string) *guard {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	g := &guard{t: t}
	h, err := parsed.Handler(definition.Build{Name: "auth", Paths: paths, Route: definition.RouteInfo{Path: "/"}},
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { g.seen = append(g.seen, r.Header) }))
	if err != nil {
		t.Fatal(err)
	}
	g.h = h
	return g
}

func (g *guard) get(path string, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	edit(r)
	w := httptest.NewRecorder()
	g.h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: r.URL.Path})))
	return w
}

func (g *guard) login(name, password string) int {
	return g.get("/", func(r *http.Request) { r.SetBasicAuth(name, password) }).Code
}

func quoted(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

func TestAPasswordIsVerifiedByTheSchemeOfItsHash(t *testing.T) { // M6
	t.Parallel()
	const password = "correct horse"
	bcrypted, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	// openssl passwd -apr1 and -1
	const apr1, md5 = "$apr1$12345678$DvW2dtLO13KlDSRAQu7w8.", "$1$ab$.ThsTrbyIbEahEdE8LNwj1"
	rest := strings.TrimPrefix(string(bcrypted), "$2a$")
	salt := []byte("saltsalt")
	argon := "$argon2id$v=19$m=64,t=1,p=2$" + base64.RawStdEncoding.EncodeToString(salt) + "$" +
		base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte(password), salt, 1, 64, 2, 32))
	for name, hash := range map[string]string{
		"argon2id": argon, "bcrypt 2a": "$2a$" + rest, "bcrypt 2b": "$2b$" + rest, "bcrypt 2y": "$2y$" + rest,
		"SHA": shaOf(password), "apr1": apr1, "md5 crypt": md5, "plain text": password,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, `{"users":[{"username":"ann","password":`+quoted(hash)+`}]}`)
			for range 2 { // the second time from the cache
				if got := g.login("ann", password); got != http.StatusOK {
					t.Fatalf("the right password: status %d", got)
				}
			}
			for _, wrong := range []string{"wrong", password + "x", strings.Repeat("x", 100)} {
				if got := g.login("ann", wrong); got != http.StatusUnauthorized {
					t.Errorf("password %q: status %d", wrong, got)
				}
			}
			if hash != password {
				if got := g.login("ann", hash); got != http.StatusUnauthorized {
					t.Errorf("the hash is a password: status %d", got)
				}
			}
			if got := g.login("bob", password); got != http.StatusUnauthorized {
				t.Errorf("an unknown user: status %d", got)
			}
			if len(g.seen) != 2 { // M4
				t.Errorf("the backend saw %d requests", len(g.seen))
			}
		})
	}
}

func TestHashesOfTheReferenceOfArgon2AreVerified(t *testing.T) { // M6
	t.Parallel()
	for _, hash := range []string{ // of the password "password", from its own tests
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
	} {
		v, err := newVerifier(hash)
		if err != nil || !v.verify("password") || v.verify("passwore") || v.verify(hash) {
			t.Errorf("%s: %v", hash, err)
		}
	}
}

// What a hash may cost is bounded: it is computed for every stranger who asks. M7
func TestAnArgon2HashIsWholeAndAffordable(t *testing.T) {
	t.Parallel()
	const salt, digest = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for _, hash := range []string{
		"$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + digest, "$argon2id$v=19$m=256,t=1000,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=256,t=1,p=200$" + salt + "$" + digest, "$argon2id$v=19$m=256,t=0,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=8,t=1,p=2$" + salt + "$" + digest, "$argon2id$v=16$m=256,t=2,p=1$" + salt + "$" + digest,
		"$argon2id$m=256,t=2,p=1$" + salt + "$" + digest, "$argon2id$v=19$m=256,t=2$" + salt + "$" + digest,
		"$argon2id$v=19$m=256,t=2,p=1,x=1$" + salt + "$" + digest, "$argon2id$v=19$m=-1,t=2,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=256,t=2,p=1$c2E$" + digest, "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$bnM", "$argon2id$v=19$m=256,t=2,p=1$" + salt,
		"$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + digest + "=", "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + digest + "$x",
		"$argon2i$v=19$m=256,t=2,p=1$" + salt + "$" + digest, "$argon2id$",
	} {
		if v, err := newVerifier(hash); err == nil {
			t.Errorf("%s is %T", hash, v)
		}
	}
}

func TestTwoPasswordsThatBcryptWouldCutAreTwo(t *testing.T) { // M7
	t.Parallel()
	long := strings.Repeat("a", 72)
	hash, err := bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, `{"users":["ann:`+string(hash)+`"]}`)
	if got := g.login("ann", long); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	if got := g.login("ann", long+"b"); got != http.StatusUnauthorized {
		t.Errorf("status %d", got)
	}
}

func TestUsersHaveAShortAndALongForm(t *testing.T) { // C3
	t.Parallel()
	g := newGuard(t, `{"users":["ann:se:cret",{"username":"bob","password":1234}]}`)
	if a, b := g.login("ann", "se:cret"), g.login("bob", "1234"); a != http.StatusOK || b != http.StatusOK {
		t.Errorf("statuses %d and %d", a, b)
	}
}

func TestWhatCannotBeMeantIsRefusedWithoutRepeatingIt(t *testing.T) { // C6, C8, M6
	t.Parallel()
	for rule, field := range map[string]string{
		`{}`:                    "rule.users",
		`{"users":[]}`:          "rule.users",
		`{"users":["ann"]}`:     "rule.users[0].password",
		`{"users":[":s3cret"]}`: "rule.users[0].username",
		`{"users":["ann:s3cret","bob:$5$s3cret$x"]}`:  "rule.users[1].password",
		`{"users":["ann:$6$s3cret$x"]}`:               "rule.users[0].password",
		`{"users":["ann:{SSHA}s3cret"]}`:              "rule.users[0].password",
		`{"users":["ann:$2y$10$s3cret"]}`:             "rule.users[0].password",
		`{"users":["ann:{SHA}s3cret"]}`:               "rule.users[0].password",
		`{"users":["ann:$apr1$s3cret"]}`:              "rule.users[0].password",
		`{"users":["ann:$1$salt$s3cret"]}`:            "rule.users[0].password",
		`{"users":["ann:a",{"username":["s3cret"]}]}`: "rule.users[1].username",
		`{"users":["ann:a",["s3cret"]]}`:              "rule.users[1]",
		`{"users":[{"username":"ann","passwordFrom":{"secretKeyRef":{"name":"s3cret","key":"k"}}}]}`: "rule.users[0].passwordFrom",
		`{"users":["ann:${S3CRET}"]}`:             "rule.users[0].password",
		`{"users":["ann:s3cret"],"realm":"a\nb"}`: "rule.realm",
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed != nil || len(problems) != 1 || problems[0].Field != field || strings.Contains(problems[0].Message, "s3cret") {
			t.Errorf("%s: rule %v, %v", rule, parsed, problems)
		}
	}
	_, problems := parse(json.RawMessage(`{"users":["ann:a","ann:b"]}`))
	if len(problems) != 1 || problems[0].Severity != config.SeverityWarning {
		t.Errorf("a second ann: %v", problems)
	}
}

func TestRefusalsAskForCredentialsInTheRealm(t *testing.T) {
	t.Parallel()
	g := newGuard(t, `{"realm":"staff \"only\"","users":["ann:a"]}`)
	for name, edit := range map[string]func(*http.Request){
		"without":     func(*http.Request) {},
		"malformed":   func(r *http.Request) { r.Header.Set("Authorization", "Basic !!") },
		"another":     func(r *http.Request) { r.Header.Set("Authorization", "Bearer YW5uOmE=") },
		"two headers": func(r *http.Request) { r.SetBasicAuth("ann", "a"); r.Header.Add("Authorization", "x") },
		"no password": func(r *http.Request) { r.SetBasicAuth("ann", "") },
		"no name":     func(r *http.Request) { r.SetBasicAuth("", "a") },
	} {
		w := g.get("/", edit)
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != `Basic realm="staff \"only\""` {
			t.Errorf("%s: status %d, %s", name, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	if len(g.seen) != 0 { // M4
		t.Errorf("the backend saw %d requests", len(g.seen))
	}
}

func TestWithoutPathsTheWholeRouteIsCovered(t *testing.T) { // M1
	t.Parallel()
	all, some := newGuard(t, `{"users":["ann:a"]}`), newGuard(t, `{"users":["ann:a"]}`, "/admin")
	for _, path := range []string{"/", "/x", "/metrics"} {
		if got := all.get(path, func(*http.Request) {}).Code; got != http.StatusUnauthorized {
			t.Errorf("%s: status %d", path, got)
		}
	}
	for path, want := range map[string]int{"/": 200, "/administrator": 200, "/admin": 401, "/ADMIN/x": 401} {
		if got := some.get(path, func(*http.Request) {}).Code; got != want {
			t.Errorf("%s: status %d", path, got)
		}
	}
}

func TestTheBackendLearnsTheNameFromUsOnly(t *testing.T) { // P8
	t.Parallel()
	g := newGuard(t, `{"forwardUsername":true,"users":["ann:a"]}`)
	g.get("/", func(r *http.Request) {
		r.SetBasicAuth("ann", "a")
		for _, name := range []string{"Username", "USERNAME", "X-Forwarded-User", "X_Forwarded_User", "X-forwarded_user"} {
			r.Header[name] = []string{"root"}
		}
	})
	if len(g.seen) != 1 {
		t.Fatal("the request did not arrive")
	}
	for name, values := range g.seen[0] {
		for _, value := range values {
			if value == "root" {
				t.Errorf("%s: root arrived", name)
			}
		}
	}
	if g.seen[0].Get("X-Forwarded-User") != "ann" || g.seen[0].Get("username") != "ann" {
		t.Errorf("headers %v", g.seen[0])
	}
}

// counting is a verifier that knows how often it was asked.
type counting struct {
	asked *int
	costs int
}

func (c counting) verify(string) bool { *c.asked++; return false }
func (c counting) work() int          { return c.costs }

func TestTheTimeDoesNotTellWhoExists(t *testing.T) { // M7
	t.Parallel()
	var cheap, dear int
	u := newUsers(map[string]verifier{"ann": plainText("a"), "bob": counting{&cheap, 1}, "cid": counting{&dear, 2}})
	for _, name := range []string{"ann", "cid", "nobody"} {
		before := dear
		if u.verify(t.Context(), name, "wrong") {
			t.Errorf("%s is let in", name)
		}
		if dear != before+1 {
			t.Errorf("%s: the longest hash is computed %d times", name, dear-before)
		}
	}
	if !u.verify(t.Context(), "ann", "a") {
		t.Error("ann is refused")
	}
}

func TestAClientThatLeavesDoesNotWaitForAHash(t *testing.T) { // M7
	t.Parallel()
	var asked int
	u := newUsers(map[string]verifier{"ann": counting{&asked, 1}})
	for range cap(u.slots) {
		u.slots <- struct{}{}
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if u.verify(ctx, "ann", "a") || asked != 0 {
		t.Errorf("%d hashes are computed for nobody", asked)
	}
}

func TestOutsideItsPathsANameIsTakenAwayToo(t *testing.T) { // P8
	t.Parallel()
	g := newGuard(t, `{"forwardUsername":true,"users":["ann:a"]}`, "/admin")
	g.get("/public", func(r *http.Request) { r.Header["X_forwarded-User"] = []string{"root"} })
	if len(g.seen) != 1 || len(g.seen[0]) != 0 {
		t.Errorf("the backend saw %v", g.seen)
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"users":["a:b"]}`)
	f.Add(`{"users":[{"username":1,"password":true}]}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}

func BenchmarkACachedPassword(b *testing.B) {
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.DefaultCost)
	if err != nil {
		b.Fatal(err)
	}
	v, err := newVerifier(string(hash))
	if err != nil {
		b.Fatal(err)
	}
	u := newUsers(map[string]verifier{"ann": v})
	b.ReportAllocs()
	for b.Loop() {
		if !u.verify(b.Context(), "ann", "x") {
			b.Fatal("refused")
		}
	}
}

func shaOf(password string) string {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // what htpasswd -s writes
	return "{SHA}" + base64.StdEncoding.EncodeToString(sum[:])
}
