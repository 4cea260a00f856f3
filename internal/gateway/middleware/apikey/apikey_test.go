// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

const (
	good  = "k-0123456789abcdef0123456789abcdef"
	other = "o-0123456789abcdef0123456789abcdef"
)

// through sends a request through a rule; seen is what the backend got, or nil.
func through(t testing.TB, rule string, r *http.Request, paths ...string) (w *httptest.ResponseRecorder, seen *http.Request) {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(definition.Build{Paths: paths}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }))
	if err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: r.URL.Path})))
	return w, seen
}

func get(target string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestExactlyOneGoodKeyPasses(t *testing.T) { // M1, M4, M15
	t.Parallel()
	rule := func(more string) string { return `{"keys":["` + good + `","` + other + `"]` + more + `}` }
	const bearer = `,"headerName":"Authorization","headerScheme":"Bearer"`
	const all = `,"headerName":"X-Key","queryName":"key","cookieName":"key"`
	for _, c := range []struct {
		name, more string
		r          *http.Request
		passes     bool
	}{
		{"in the usual header", ``, get("/", "X-API-Key", good), true},
		{"another of the list", ``, get("/", "x-api-key", other), true},
		{"with blanks around", ``, get("/", "X-API-Key", " "+good+" "), true},
		{"none", ``, get("/"), false},
		{"an empty one", ``, get("/", "X-API-Key", ""), false},
		{"a wrong one", ``, get("/", "X-API-Key", good+"x"), false},
		{"a part of one", ``, get("/", "X-API-Key", good[:len(good)-1]), false},
		{"in another case", ``, get("/", "X-API-Key", strings.ToUpper(good)), false},
		{"a very long one", ``, get("/", "X-API-Key", strings.Repeat("k", 1<<20)), false},
		{"two good ones", ``, get("/", "X-API-Key", good, "X-API-Key", other), false},
		{"twice", ``, get("/", "X-API-Key", good, "X-API-Key", good), false},
		{"two in one line", ``, get("/", "X-API-Key", good+", "+good), false},
		{"in another spelling of the header", ``, get("/", "X_API_Key", good), false},
		{"in the query, where it is not looked for", ``, get("/?X-API-Key=" + good), false},
		{"after the scheme", bearer, get("/", "Authorization", "Bearer "+good), true},
		{"after the scheme in another case", bearer, get("/", "Authorization", "bearer  "+good), true},
		{"without the scheme", bearer, get("/", "Authorization", good), false},
		{"after another scheme", bearer, get("/", "Authorization", "Basic "+good), false},
		{"the scheme alone", bearer, get("/", "Authorization", "Bearer"), false},
		{"in the header that is not the default any more", bearer, get("/", "X-API-Key", good), false},
		{"in the query", all, get("/?a=1&key=" + good), true},
		{"in the query, escaped", all, get("/?k%65y=" + strings.ReplaceAll(good, "-", "%2d")), true},
		{"in the query twice", all, get("/?key=" + good + "&key=" + good), false},
		{"in the query, malformed", all, get("/?key=" + good + "%zz"), false},
		{"in a cookie", all, get("/", "Cookie", "a=b; key="+good), true},
		{"in two cookies", all, get("/", "Cookie", "key="+good+"; key="+other), false},
		{"in a cookie of another name", all, get("/", "Cookie", "keys="+good), false},
		{"in header and query", all, get("/?key="+good, "X-Key", good), false},
		{"in query, with an empty cookie", all, get("/?key="+good, "Cookie", "key="), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, seen := through(t, rule(c.more), c.r)
			if (seen != nil) != c.passes {
				t.Fatalf("passes: %v, status %d", seen != nil, w.Code)
			}
			if !c.passes && (w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" || w.Body.String() != "401 Unauthorized\n") {
				t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
			}
		})
	}
}

func TestTheDigestStandsForAKeyAndIsNone(t *testing.T) { // M6
	t.Parallel()
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(good)))
	rule := `{"keys":[{"name":"shop","key":"` + digest + `"}]}`
	if _, seen := through(t, rule, get("/", "X-API-Key", good)); seen == nil {
		t.Error("the key is refused")
	}
	for _, key := range []string{digest, strings.TrimPrefix(digest, "sha256:")} {
		if _, seen := through(t, rule, get("/", "X-API-Key", key)); seen != nil {
			t.Errorf("%s is a key", key)
		}
	}
}

func TestTheBackendSeesTheKeyOnlyWhenToldTo(t *testing.T) { // P4, P8
	t.Parallel()
	const places = `"headerName":"X-Key","queryName":"key","cookieName":"key"`
	rule := `{"keys":["` + good + `"],` + places + `}`
	keep := `{"keys":["` + good + `"],"forwardKey":true,` + places + `}`
	header := []string{"X-Key", good, "X_key", "forged", "Cookie", "a=b"}
	r := get("/?a=%2f&&b", header...)
	if _, seen := through(t, rule, r); seen == nil || len(seen.Header) != 1 || seen.Header.Get("Cookie") != "a=b" || seen.URL.RawQuery != "a=%2f&&b" {
		t.Errorf("the backend sees %v", seen)
	}
	r = get("/?a=%2f&k%65y="+good+"&&b;c", "Cookie", "a=b")
	if _, seen := through(t, rule, r); seen == nil || seen.URL.RawQuery != "a=%2f&&b;c" || r.URL.RawQuery == seen.URL.RawQuery {
		t.Errorf("the backend sees %v", seen)
	}
	if _, seen := through(t, rule, get("/x?key="+good)); seen == nil || seen.URL.RequestURI() != "/x" {
		t.Errorf("the backend sees %v", seen)
	}
	if _, seen := through(t, rule, get("/", "Cookie", "a=b; key="+good+"; c=d")); seen == nil || seen.Header.Get("Cookie") != "a=b; c=d" {
		t.Errorf("the backend sees %v", seen)
	}
	if _, seen := through(t, keep, get("/", header...)); seen == nil || seen.Header.Get("X-Key") != good {
		t.Errorf("the backend sees %v", seen)
	}
	if _, seen := through(t, keep, get("/?key="+good)); seen == nil || seen.URL.RawQuery != "key="+good {
		t.Errorf("the backend sees %v", seen)
	}
}

func TestTheBackendLearnsWhoseTheKeyIs(t *testing.T) { // P8
	t.Parallel()
	rule := `{"keys":[{"name":"shop","key":"` + good + `"},{"name":1234,"key":"` + other + `"}],"nameHeader":"X-Consumer"}`
	for key, want := range map[string]string{good: "shop", other: "1234"} {
		_, seen := through(t, rule, get("/", "X-API-Key", key, "X-Consumer", "forged", "x_consumer", "forged"))
		if seen == nil || len(seen.Header) != 1 || seen.Header.Get("X-Consumer") != want {
			t.Errorf("the backend sees %v", seen)
		}
	}
	_, seen := through(t, rule, get("/public", "X_Consumer", "forged", "X-API-Key", good), "/private")
	if seen == nil || len(seen.Header) != 1 || seen.Header.Get("X-API-Key") == "" {
		t.Errorf("outside of the paths the backend sees %v", seen)
	}
	if _, seen := through(t, rule, get("/private/x"), "/private"); seen != nil {
		t.Error("inside of the paths nobody is asked")
	}
}

func TestARuleIsReadInFull(t *testing.T) { // C2, C5, C6, C8
	t.Parallel()
	const ok = `"keys":["hush-0123456789abcdef"]`
	for rule, field := range map[string]string{
		``:                         "rule.keys",
		`{}`:                       "rule.keys",
		`{"keys":[]}`:              "rule.keys",
		`{"keys":"hush"}`:          "rule.keys",
		`{"keys":[""]}`:            "rule.keys[0].key",
		`{"keys":[["hush"]]}`:      "rule.keys[0]",
		`{"keys":[{"name":"a"}]}`:  "rule.keys[0].key",
		`{"keys":["${HUSH}"]}`:     "rule.keys[0].key",
		`{"keys":["hush hush"]}`:   "rule.keys[0].key",
		`{"keys":["hush\nhush"]}`:  "rule.keys[0].key",
		`{"keys":["sha256:hush"]}`: "rule.keys[0].key",
		`{"keys":["sha256:00"]}`:   "rule.keys[0].key",
		`{"keys":["` + strings.Repeat("hush", 2000) + `"]}`:                               "rule.keys[0].key",
		`{"keys":[{"name":"a","keyFrom":{"secretKeyRef":{"name":"a","key":"b"}}}]}`:       "rule.keys[0].keyFrom",
		`{"keys":[{"name":"a\r\nX-Admin: 1","key":"hush-0123456789abcdef"}]}`:             "rule.keys[0].name", // P9
		`{` + ok + `,"nameHeader":"X-A"}`:                                                 "rule.keys[0].name",
		`{` + ok + `,"headerName":"X A"}`:                                                 "rule.headerName",
		`{` + ok + `,"headerName":"Cookie"}`:                                              "rule.headerName",
		`{` + ok + `,"headerName":"Content_Length"}`:                                      "rule.headerName",
		`{` + ok + `,"queryName":"k","headerScheme":"Bearer"}`:                            "rule.headerScheme",
		`{` + ok + `,"headerName":"A","headerScheme":"Bearer of"}`:                        "rule.headerScheme",
		`{` + ok + `,"cookieName":"a b"}`:                                                 "rule.cookieName",
		`{` + ok + `,"forwardKey":"yes"}`:                                                 "rule.forwardKey",
		`{"keys":[{"name":"a","key":"hush-0123456789abcdef"}],"nameHeader":"x_api-key"}`:  "rule.nameHeader",
		`{"keys":[{"name":"a","key":"hush-0123456789abcdef"}],"nameHeader":"Connection"}`: "rule.nameHeader",
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%.80s: rule %v, %v", rule, parsed, problems)
			continue
		}
		if strings.Contains(problems[0].Message, "hush") {
			t.Errorf("the message repeats the key: %s", problems[0].Message)
		}
	}
}

func TestWhatIsDoubtfulIsAWarning(t *testing.T) { // C6, C8
	t.Parallel()
	for rule, field := range map[string]string{
		`{"keys":["hush"]}`: "rule.keys[0].key",
		`{"keys":[1234]}`:   "rule.keys[0].key",
		`{"keys":["hush-0123456789abcdef","hush-0123456789abcdef"]}`:       "rule.keys[1].key",
		`{"keys":[{"name":"a","keey":"x","key":"hush-0123456789abcdef"}]}`: "rule.keys[0].keey",
		`{"keys":["hush-0123456789abcdef"],"heaederName":"X-A"}`:           "rule.heaederName",
	} {
		parsed, problems := parse(json.RawMessage(rule))
		if parsed == nil || len(problems) != 1 || config.HasErrors(problems) || problems[0].Field != field || strings.Contains(problems[0].Message, "hush") {
			t.Errorf("%s: rule %v, %v", rule, parsed, problems)
		}
	}
}

func FuzzTheKeyNeverReachesTheBackend(f *testing.F) { // P4, P8
	f.Add("key="+good+"&a", "key="+good, good)
	f.Add("k%65y=x&&=&;", "a=b; key", "")
	rule := `{"keys":["` + good + `"],"headerName":"X-Key","queryName":"key","cookieName":"key"}`
	f.Fuzz(func(t *testing.T, query, cookie, header string) {
		r := get("/")
		r.URL.RawQuery = query
		r.Header["Cookie"], r.Header["X-Key"] = []string{cookie}, []string{header}
		_, seen := through(t, rule, r)
		if seen == nil {
			return
		}
		if values, _ := url.ParseQuery(seen.URL.RawQuery); values.Has("key") || len(seen.CookiesNamed("key")) != 0 || seen.Header["X-Key"] != nil {
			t.Fatalf("the backend sees %v %v", seen.URL, seen.Header)
		}
	})
}
