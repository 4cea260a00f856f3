// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/ldap/ldaptest"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// guard is a rule in front of a backend that remembers what reached it.
type guard struct {
	h    http.Handler
	mu   sync.Mutex
	seen []http.Header
}

func newDirectoryServer(t *testing.T) *ldaptest.Directory {
	t.Helper()
	d := ldaptest.New()
	t.Cleanup(d.Close)
	return d
}

func newGuard(t *testing.T, settings map[string]any, paths ...string) *guard {
	t.Helper()
	if settings["baseDN"] == nil {
		settings["baseDN"] = "dc=test"
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	parsed, problems := parse(raw)
	if parsed == nil {
		t.Fatal(problems)
	}
	g := &guard{}
	g.h, err = parsed.Handler(definition.Build{Name: "m", Paths: paths, Route: definition.RouteInfo{Path: "/"}, Pool: pool.New(), Track: t.Cleanup},
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.seen = append(g.seen, r.Header)
		}))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guard) get(path, client string, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	x := &exchange.Exchange{Path: r.URL.Path, ClientIP: netip.MustParseAddr(client)}
	g.h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	return w
}

func (g *guard) login(name, password string) int {
	return g.get("/", "192.0.2.1", func(r *http.Request) { r.SetBasicAuth(name, password) }).Code
}

func TestOnlyTheRightPasswordOfExactlyOneEntryPasses(t *testing.T) { // M8, M4
	t.Parallel()
	d := newDirectoryServer(t)
	d.Passwords["uid=bob,dc=test"], d.Passwords[""] = "b", "b"
	d.Filters["(uid=bob)"] = []string{"uid=bob,dc=test", "uid=bob,ou=x,dc=test"}
	d.Filters["(uid=nameless)"] = []string{""}
	g := newGuard(t, map[string]any{"url": d.URL})
	for _, c := range []struct {
		name, password string
		want           int
	}{
		{"ann", "a", 200},
		{"ann", "b", 401},
		{"nobody", "a", 401},
		{"bob", "b", 401},      // two entries
		{"nameless", "b", 401}, // an entry without a name is everybody
		{"ann", "", 401},
		{"", "a", 401},
	} {
		if got := g.login(c.name, c.password); got != c.want {
			t.Errorf("%s with %q: status %d", c.name, c.password, got)
		}
	}
	if len(g.seen) != 1 {
		t.Errorf("the backend saw %d requests", len(g.seen))
	}
}

func TestAnEmptyPasswordNeverReachesTheDirectory(t *testing.T) { // M8
	t.Parallel()
	d := newDirectoryServer(t)
	g := newGuard(t, map[string]any{"url": d.URL})
	if got := g.login("ann", ""); got != http.StatusUnauthorized || d.Binds.Load()+d.Searches.Load() != 0 {
		t.Errorf("status %d after %d binds", got, d.Binds.Load())
	}
}

func TestANameIsAValueInTheFilterAndNothingElse(t *testing.T) { // M8
	t.Parallel()
	a := &account{filter: "(&(objectClass=person)(uid=%s))"}
	for _, name := range []string{"*", "*)(uid=*", "ann)(|(uid=*", `a\2a`, "a\x00b", "ann)(objectClass=*))(&(uid=x", "(", ")", `\`} {
		p, err := goldap.CompileFilter(a.filterFor(name))
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		and := p.Children
		if p.Tag != goldap.FilterAnd || len(and) != 2 || and[1].Tag != goldap.FilterEqualityMatch || and[1].Children[1].Data.String() != name {
			t.Errorf("%q becomes another filter", name)
		}
	}
	d := newDirectoryServer(t)
	d.Filters["(uid=*)"] = []string{"uid=ann,dc=test"}
	if got := newGuard(t, map[string]any{"url": d.URL}).login("*", "a"); got != http.StatusUnauthorized {
		t.Errorf("a star is let in: status %d", got)
	}
}

func FuzzAName(f *testing.F) { // M8
	f.Add("*)(uid=*")
	f.Add("a\\2a\x00")
	f.Fuzz(func(t *testing.T, name string) {
		p, err := goldap.CompileFilter((&account{filter: "(uid=%s)"}).filterFor(name))
		if err != nil {
			t.Fatal(err)
		}
		if p.Tag != goldap.FilterEqualityMatch || p.Children[1].Data.String() != name {
			t.Fatalf("%q becomes another filter", name)
		}
	})
}

func TestADirectoryThatCannotTellIs503(t *testing.T) { // M2, M4
	t.Parallel()
	d := newDirectoryServer(t)
	for name, c := range map[string]struct {
		settings map[string]any
		result   int32
	}{
		"nobody listens":                       {map[string]any{"url": "ldap://127.0.0.1:1"}, 0},
		"a searching entry that is refused":    {map[string]any{"url": d.URL, "bindDN": "cn=x,dc=test", "bindPass": "wrong"}, 0},
		"a base that does not exist":           {map[string]any{"url": d.URL, "userFilter": "(cn=%s)"}, goldap.LDAPResultNoSuchObject},
		"a directory that is busy":             {map[string]any{"url": d.URL, "userFilter": "(sn=%s)"}, goldap.LDAPResultBusy},
		"a StartTLS that is not answered well": {map[string]any{"url": d.URL, "startTLS": true}, 0},
		"no TLS where there has to be":         {map[string]any{"url": strings.Replace(d.URL, "ldap:", "ldaps:", 1)}, 0},
	} {
		d.Result.Store(c.result)
		before := d.Binds.Load()
		g := newGuard(t, c.settings)
		if got := g.login("ann", "a"); got != http.StatusServiceUnavailable || len(g.seen) != 0 {
			t.Errorf("%s: status %d", name, got)
		}
		if strings.Contains(name, "TLS") && d.Binds.Load() != before {
			t.Errorf("%s: the password is sent in plain text", name)
		}
	}
}

func TestAFewTooManyEntriesAreNoAnswerAndNotAFault(t *testing.T) { // M8
	t.Parallel()
	d := newDirectoryServer(t)
	d.Result.Store(goldap.LDAPResultSizeLimitExceeded)
	if got := newGuard(t, map[string]any{"url": d.URL}).login("ann", "a"); got != http.StatusUnauthorized {
		t.Errorf("status %d", got)
	}
}

func TestAServerThatSaysNothingIsGivenUp(t *testing.T) { // M8
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Within a bubble, connections are pipes: those of a network hold time up.
		client, server := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		conn := goldap.NewConn(client, false)
		conn.Start()
		conn.SetTimeout(timeout)
		p := &connections{}
		p.give(conn, nil)
		began := time.Now()
		taken := p.take()
		err := taken.Bind("uid=ann", "a")
		p.give(taken, err)
		if !broken(err) || time.Since(began) != timeout || len(p.idle) != 0 {
			t.Errorf("%v after %s; %d connections are kept", err, time.Since(began), len(p.idle))
		}
		_ = server.Close()
	})
}

func TestOneUsersConnectionsAreUsedAgainAndSurviveARestart(t *testing.T) { // M8
	t.Parallel()
	d := newDirectoryServer(t)
	g := newGuard(t, map[string]any{"url": d.URL})
	for i := range 5 {
		if got := g.login("ann", fmt.Sprint("wrong", i)); got != http.StatusUnauthorized {
			t.Fatalf("status %d", got)
		}
	}
	if got := d.Connections.Load(); got != 2 {
		t.Errorf("%d connections for 5 attempts", got)
	}
	d.Drop()
	if got := g.login("ann", "a"); got != http.StatusOK {
		t.Errorf("after a restart: status %d", got)
	}
}

func TestAPageWithManyPartsAsksOnce(t *testing.T) { // M7
	t.Parallel()
	d := newDirectoryServer(t)
	g := newGuard(t, map[string]any{"url": d.URL})
	var refused atomic.Int32
	var group sync.WaitGroup
	for range 60 { // more than the limit of attempts
		group.Go(func() {
			if g.login("ann", "a") != http.StatusOK {
				refused.Add(1)
			}
		})
	}
	group.Wait()
	for range 60 {
		if g.login("ann", "a") != http.StatusOK {
			refused.Add(1)
		}
	}
	if refused.Load() != 0 || d.Binds.Load() != 1 || d.Searches.Load() != 1 {
		t.Errorf("%d refused; %d binds and %d searches", refused.Load(), d.Binds.Load(), d.Searches.Load())
	}
}

func TestAUserWhoDoesNotExistCostsTheSameQuestions(t *testing.T) { // M7
	t.Parallel()
	d := newDirectoryServer(t)
	g := newGuard(t, map[string]any{"url": d.URL})
	count := func(name string) (binds, searches int32) {
		b, s := d.Binds.Load(), d.Searches.Load()
		if got := g.login(name, "wrong"); got != http.StatusUnauthorized {
			t.Fatalf("%s: status %d", name, got)
		}
		return d.Binds.Load() - b, d.Searches.Load() - s
	}
	b1, s1 := count("ann")
	if b2, s2 := count("nobody"); b1 != b2 || s1 != s2 {
		t.Errorf("%d binds and %d searches for ann, %d and %d for nobody", b1, s1, b2, s2)
	}
}

func TestTooManyAttemptsOfOneClientWait(t *testing.T) {
	t.Parallel()
	d := newDirectoryServer(t)
	g := newGuard(t, map[string]any{"url": d.URL, "realm": "staff", "connPool": map[string]any{"size": 1, "burst": 3, "ttl": "90s"}})
	for i := range 3 {
		if got := g.login("ann", fmt.Sprint("wrong", i)); got != http.StatusUnauthorized {
			t.Errorf("attempt %d: status %d", i+1, got)
		}
	}
	w := g.get("/", "192.0.2.1", func(r *http.Request) { r.SetBasicAuth("ann", "a") })
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "90" || w.Header().Get("WWW-Authenticate") != `Basic realm="staff"` {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
	if w := g.get("/", "192.0.2.2", func(r *http.Request) { r.SetBasicAuth("ann", "a") }); w.Code != http.StatusOK {
		t.Errorf("another client: status %d", w.Code)
	}
	if got := g.login("ann", "a"); got != http.StatusOK {
		t.Errorf("what is known to be good is an attempt: status %d", got)
	}
}

func TestAttemptsComeBackAndAreBounded(t *testing.T) { // M21
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts(limit{size: 2, burst: 1, ttl: time.Minute})
		first, second := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
		if !a.take(first) || a.take(second) {
			t.Error("a /64 is not one client")
		}
		time.Sleep(30 * time.Second)
		if !a.take(second) || a.take(first) {
			t.Error("half a minute does not give one attempt of two back")
		}
		for i := range 2*most + 1 {
			a.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		}
		if len(a.buckets) > most {
			t.Errorf("%d clients are counted", len(a.buckets))
		}
	})
}

func TestTheBackendLearnsTheNameFromUsOnly(t *testing.T) { // P8
	t.Parallel()
	d := newDirectoryServer(t)
	g := newGuard(t, map[string]any{"url": d.URL, "forwardUsername": true}, "/admin")
	for _, path := range []string{"/admin", "/public"} {
		g.get(path, "192.0.2.1", func(r *http.Request) {
			r.SetBasicAuth("ann", "a")
			for _, name := range []string{"Username", "X-Forwarded-User", "X_Forwarded_User", "X-forwarded_user"} {
				r.Header[name] = []string{"root"}
			}
		})
	}
	if len(g.seen) != 2 || g.seen[0].Get("X-Forwarded-User") != "ann" || g.seen[0].Get("username") != "ann" || len(g.seen[0]) != 3 || len(g.seen[1]) != 1 {
		t.Errorf("headers %v", g.seen)
	}
}

func TestWithoutPathsTheWholeRouteIsCovered(t *testing.T) { // M1
	t.Parallel()
	g := newGuard(t, map[string]any{"url": "ldap://127.0.0.1:1"})
	for _, path := range []string{"/", "/x", "/metrics"} {
		if got := g.get(path, "192.0.2.1", nil).Code; got != http.StatusUnauthorized {
			t.Errorf("%s: status %d", path, got)
		}
	}
}

func TestWhatCannotBeMeantIsRefusedWithoutRepeatingIt(t *testing.T) { // C6, C8, C2
	t.Parallel()
	const rest = `"url":"ldap://l","baseDN":"dc=test"`
	for rule, field := range map[string]string{
		`{"baseDN":"dc=test"}`:                                                                       "rule.url",
		`{"url":"ldap://l"}`:                                                                         "rule.baseDN",
		`{"url":"http://l","baseDN":"dc=test"}`:                                                      "rule.url",
		`{"url":"ldap://","baseDN":"dc=test"}`:                                                       "rule.url",
		`{"url":"ldap://u:s3cret@l","baseDN":"dc=test"}`:                                             "rule.url",
		`{"url":"ldap://l/dc=x","baseDN":"dc=test"}`:                                                 "rule.url",
		`{"url":"ldapi:///run/s","baseDN":"dc=test"}`:                                                "rule.url",
		`{"url":"ldap://${HOST}","baseDN":"dc=test"}`:                                                "rule.url",
		`{"url":"ldap://l","baseDN":"${BASE}"}`:                                                      "rule.baseDN",
		`{"url":"ldap://l","baseDN":"people"}`:                                                       "rule.baseDN",
		`{` + rest + `,"bindDN":"cn=a","bindPass":"${S3CRET}"}`:                                      "rule.bindPass",
		`{` + rest + `,"bindDN":"admin","bindPass":"s3cret"}`:                                        "rule.bindDN",
		`{` + rest + `,"bindPass":"s3cret"}`:                                                         "rule.bindDN",
		`{` + rest + `,"bindDN":"cn=a","bindPassFrom":{"secretKeyRef":{"name":"s3cret","key":"k"}}}`: "rule.bindPassFrom",
		`{` + rest + `,"userFilter":"(uid=ann)"}`:                                                    "rule.userFilter",
		`{` + rest + `,"userFilter":"(uid=%s"}`:                                                      "rule.userFilter",
		`{` + rest + `,"userFilter":"(uid=${U})"}`:                                                   "rule.userFilter",
		`{` + rest + `,"realm":"a\nb"}`:                                                              "rule.realm",
		`{` + rest + `,"rootCAs":"/etc/passwd"}`:                                                     "rule.rootCAs", // T8
		`{` + rest + `,"connPool":{"size":-1}}`:                                                      "rule.connPool.size",
		`{` + rest + `,"connPool":{"burst":-1}}`:                                                     "rule.connPool.burst",
		`{` + rest + `,"connPool":{"ttl":"-1s"}}`:                                                    "rule.connPool.ttl",
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		} else if strings.Contains(problems[0].Message, "s3cret") {
			t.Errorf("%s: the value is repeated: %s", rule, problems[0].Message)
		}
	}
	parsed, problems := parse(json.RawMessage(`{"url":"ldaps://l","baseDN":"dc=test","startTLS":true,"userFilter":"uid=%s"}`))
	if parsed == nil || len(problems) != 1 || problems[0].Severity != config.SeverityNote {
		t.Errorf("startTLS beside ldaps: %v", problems)
	}
	if a := parsed.(*rule).account; a.address != "l:636" || a.filter != "(uid=%s)" || a.startTLS {
		t.Errorf("account %+v", a)
	}
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"url":"ldap://a","baseDN":"dc=a","userFilter":"(uid=%s)"}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}
