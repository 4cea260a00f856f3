// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"net/http"
	"testing"
	"time"
)

const plainRule = `{}`

// exchanges are two requests with a while between them, and what the cache makes
// of the second.
var exchanges = []struct {
	name          string
	rule          string
	status        int
	answer        []string
	first, second []string
	// target of the second request, if it is another one.
	target string
	wait   time.Duration
	want   string
}{
	{name: "fresh by max-age", answer: []string{"Cache-Control: max-age=60"}, wait: 59 * time.Second, want: "HIT"},
	{name: "stale by max-age", answer: []string{"Cache-Control: max-age=60"}, wait: 61 * time.Second, want: "MISS"},
	{name: "s-maxage counts before max-age", answer: []string{"Cache-Control: max-age=60, s-maxage=10"}, wait: 11 * time.Second, want: "MISS"},
	{name: "s-maxage counts before max-age, the other way round", answer: []string{"Cache-Control: max-age=1, s-maxage=100"}, wait: 50 * time.Second, want: "HIT"},
	{name: "Expires", answer: []string{"Date: Sat, 01 Jan 2000 00:00:00 GMT", "Expires: Sat, 01 Jan 2000 00:01:00 GMT"}, wait: 30 * time.Second, want: "HIT"},
	{name: "Expires, over", answer: []string{"Date: Sat, 01 Jan 2000 00:00:00 GMT", "Expires: Sat, 01 Jan 2000 00:01:00 GMT"}, wait: 61 * time.Second, want: "MISS"},
	{name: "Expires that is no date", rule: `{"maxTtl":60}`, answer: []string{"Expires: 0"}, want: "MISS"},
	{name: "Age counts", answer: []string{"Cache-Control: max-age=60", "Age: 50"}, wait: 11 * time.Second, want: "MISS"},
	{name: "an Age that is none", answer: []string{"Cache-Control: max-age=60", "Age: new"}, want: "MISS"},
	{name: "no more than maxTtl", rule: `{"maxTtl":10}`, answer: []string{"Cache-Control: max-age=60"}, wait: 11 * time.Second, want: "MISS"},
	{name: "maxTtl is five minutes", answer: []string{"Cache-Control: max-age=6000"}, wait: 299 * time.Second, want: "HIT"},
	{name: "maxTtl is five minutes, and not more", answer: []string{"Cache-Control: max-age=6000"}, wait: 301 * time.Second, want: "MISS"},
	{name: "maxTtl 0", rule: `{"maxTtl":0}`, answer: []string{"Cache-Control: max-age=60"}, want: "MISS"},
	{name: "nothing said", want: "MISS"},
	{name: "nothing said, and maxTtl is", rule: `{"maxTtl":20}`, wait: 19 * time.Second, want: "HIT"},
	{name: "nothing said, and the time of maxTtl is over", rule: `{"maxTtl":20}`, wait: 21 * time.Second, want: "MISS"},
	{name: "nothing said, defaultTtl", rule: `{"defaultTtl":20}`, wait: 19 * time.Second, want: "HIT"},
	{name: "nothing said, defaultTtl 0", rule: `{"maxTtl":20,"defaultTtl":0}`, want: "MISS"},
	{name: "nothing said of a status that needs a word", rule: `{"maxTtl":20}`, status: 201, want: "MISS"},
	{name: "the same, with a word", status: 201, answer: []string{"Cache-Control: max-age=20"}, want: "HIT"},
	{name: "no-store", rule: `{"maxTtl":20}`, answer: []string{"Cache-Control: no-store, max-age=20"}, want: "MISS"},
	{name: "private", rule: `{"maxTtl":20}`, answer: []string{"Cache-Control: private, max-age=20"}, want: "MISS"},
	{name: "private in capitals", rule: `{"maxTtl":20}`, answer: []string{"Cache-Control: Max-Age=20, PRIVATE"}, want: "MISS"},
	{name: "private on a second line", answer: []string{"Cache-Control: max-age=20", "Cache-Control: private"}, want: "MISS"},
	{name: "no-cache without a validator", rule: `{"maxTtl":20}`, answer: []string{"Cache-Control: no-cache"}, want: "MISS"},
	{name: "must-understand, and it is", answer: []string{"Cache-Control: must-understand, no-store, max-age=20"}, want: "HIT"},
	{name: "must-understand, and it is not", status: 299, answer: []string{"Cache-Control: must-understand, no-store, max-age=20"}, want: "MISS"},
	{name: "Vary: *", answer: []string{"Cache-Control: max-age=20", "Vary: *"}, want: "MISS"},
	{name: "the same variant", answer: []string{"Cache-Control: max-age=20", "Vary: Accept-Language"}, first: []string{"Accept-Language: en,  de"}, second: []string{"Accept-Language: en, de"}, want: "HIT"},
	{name: "another variant", answer: []string{"Cache-Control: max-age=20", "Vary: Accept-Language"}, first: []string{"Accept-Language: en"}, second: []string{"Accept-Language: de"}, want: "MISS"},
	{name: "a variant that is none", answer: []string{"Cache-Control: max-age=20", "Vary: Accept-Language"}, first: []string{"Accept-Language: en"}, want: "MISS"},
	{name: "a coding without Vary", answer: []string{"Cache-Control: max-age=20", "Content-Encoding: gzip"}, first: []string{"Accept-Encoding: gzip"}, want: "MISS"},
	{name: "an allowed origin without Vary", answer: []string{"Cache-Control: max-age=20", "Access-Control-Allow-Origin: https://a.test"}, first: []string{"Origin: https://a.test"}, second: []string{"Origin: https://b.test"}, want: "MISS"},

	// M24
	{name: "another query", rule: `{"maxTtl":20}`, target: "http://a.test/x?page=2", want: "MISS"},
	{name: "another host", rule: `{"maxTtl":20}`, target: "http://b.test/x?page=1", want: "MISS"},
	{name: "another path", rule: `{"maxTtl":20}`, target: "http://a.test/X?page=1", want: "MISS"},
	{name: "another query, and the rule says that it does not count", rule: `{"maxTtl":20,"includeQueryInKey":false}`, target: "http://a.test/x?page=2", want: "HIT"},
	{name: "another parameter that does not count", rule: `{"maxTtl":20,"queryParamsToCache":["page"]}`, target: "http://a.test/x?utm=1&page=1", want: "HIT"},
	{name: "another value of one that counts", rule: `{"maxTtl":20,"includeQueryInKey":true,"queryParamsToCache":["page"]}`, target: "http://a.test/x?page=2", want: "MISS"},
	{name: "a cookie for the client", rule: `{"maxTtl":20}`, answer: []string{"Set-Cookie: session=1", "Cache-Control: max-age=20"}, want: "MISS"},
	{name: "an answer to credentials", rule: `{"maxTtl":20}`, answer: []string{"Cache-Control: max-age=20"}, first: []string{"Authorization: Basic YW5uOmE="}, want: "MISS"},
	{name: "an answer to a cookie", rule: `{"maxTtl":20}`, answer: []string{"Cache-Control: max-age=20"}, first: []string{"Cookie: session=1"}, want: "MISS"},
	{name: "an answer to nobody, for somebody", rule: `{"maxTtl":20}`, answer: []string{"Cache-Control: max-age=20"}, second: []string{"Cookie: session=1"}, want: "MISS"},
	{name: "an answer to credentials with must-revalidate alone", answer: []string{"Cache-Control: max-age=20, must-revalidate"}, first: []string{"Authorization: Basic YW5uOmE="}, want: "MISS"},
	{name: "an answer to credentials that is public", answer: []string{"Cache-Control: max-age=20, public"}, first: []string{"Authorization: Basic YW5uOmE="}, want: "HIT"},
	{name: "an answer to a cookie with s-maxage", answer: []string{"Cache-Control: s-maxage=20"}, first: []string{"Cookie: session=1"}, second: []string{"Cookie: session=2"}, want: "HIT"},

	// M26
	{name: "a part of an answer", status: 206, answer: []string{"Cache-Control: max-age=20", "Content-Range: bytes 0-3/9"}, want: "MISS"},
	{name: "a request for a part", answer: []string{"Cache-Control: max-age=20"}, second: []string{"Range: bytes=0-1"}, want: "BYPASS"},
	{name: "an answer to a request for a part", answer: []string{"Cache-Control: max-age=20"}, first: []string{"Range: bytes=0-1"}, want: "MISS"},
	{name: "a header that might shape an answer", answer: []string{"Cache-Control: max-age=20"}, first: []string{"X-Forwarded-Host: evil.test"}, want: "MISS"},
	{name: "a header that might name another target", answer: []string{"Cache-Control: max-age=20"}, first: []string{"X-Original-URL: /admin"}, want: "MISS"},
	{name: "a redirect", status: 302, answer: []string{"Cache-Control: max-age=20"}, want: "MISS"},
	{name: "a status of the list", rule: `{"cacheableStatusCodes":[404]}`, status: 404, answer: []string{"Cache-Control: max-age=20"}, want: "HIT"},
	{name: "a status that is not in the list", rule: `{"cacheableStatusCodes":[404]}`, status: 200, answer: []string{"Cache-Control: max-age=20"}, want: "MISS"},
	{name: "an excluded status", rule: `{"excludedResponseCodes":["200-201"]}`, status: 200, answer: []string{"Cache-Control: max-age=20"}, want: "MISS"},
	{name: "a redirect that is not excluded", rule: `{"excludedResponseCodes":["500-599"]}`, status: 302, answer: []string{"Cache-Control: max-age=20"}, want: "HIT"},
	{name: "an error", status: 500, answer: []string{"Cache-Control: max-age=20"}, want: "MISS"},
	{name: "a client that wants a new one", answer: []string{"Cache-Control: max-age=20"}, second: []string{"Cache-Control: no-cache"}, want: "MISS"},
	{name: "a client that wants a new one, in the old way", answer: []string{"Cache-Control: max-age=20"}, second: []string{"Pragma: no-cache"}, want: "MISS"},
	{name: "a client that wants nothing stored", answer: []string{"Cache-Control: max-age=20"}, first: []string{"Cache-Control: no-store"}, want: "MISS"},
	{name: "a client that wants a young one", answer: []string{"Cache-Control: max-age=60"}, second: []string{"Cache-Control: max-age=10"}, wait: 11 * time.Second, want: "MISS"},
	{name: "a client that wants one that stays fresh", answer: []string{"Cache-Control: max-age=60"}, second: []string{"Cache-Control: min-fresh=30"}, wait: 31 * time.Second, want: "MISS"},
	{name: "a client that takes old ones, and the rule does not", answer: []string{"Cache-Control: max-age=20", "ETag: \"1\""}, second: []string{"Cache-Control: max-stale"}, wait: 30 * time.Second, want: "MISS"},
	{name: "a client that takes old ones", rule: `{"maxStale":15}`, answer: []string{"Cache-Control: max-age=20"}, second: []string{"Cache-Control: max-stale=11"}, wait: 30 * time.Second, want: "STALE"},
	{name: "a client that takes any", rule: `{"maxStale":15}`, answer: []string{"Cache-Control: max-age=20"}, second: []string{"Cache-Control: max-stale"}, wait: 30 * time.Second, want: "STALE"},
	{name: "a client that takes older ones than the rule", rule: `{"maxStale":5}`, answer: []string{"Cache-Control: max-age=20"}, second: []string{"Cache-Control: max-stale=60"}, wait: 30 * time.Second, want: "MISS"},
	{name: "a client that takes old ones which the backend forbids", rule: `{"maxStale":15}`, answer: []string{"Cache-Control: max-age=20, must-revalidate"}, second: []string{"Cache-Control: max-stale"}, wait: 30 * time.Second, want: "MISS"},
	{name: "a client that takes old ones of s-maxage", rule: `{"maxStale":15}`, answer: []string{"Cache-Control: s-maxage=20"}, second: []string{"Cache-Control: max-stale"}, wait: 30 * time.Second, want: "MISS"},
	{name: "while revalidating", answer: []string{"Cache-Control: max-age=20, stale-while-revalidate=20"}, wait: 30 * time.Second, want: "STALE"},
	{name: "while revalidating, too late", answer: []string{"Cache-Control: max-age=20, stale-while-revalidate=5"}, wait: 30 * time.Second, want: "MISS"},
	{name: "while revalidating, which must be first", answer: []string{"Cache-Control: max-age=20, stale-while-revalidate=20, must-revalidate"}, wait: 30 * time.Second, want: "MISS"},
	{name: "a trailer", answer: []string{"Cache-Control: max-age=20", "Trailer: X-Sum"}, want: "MISS"},
}

func TestWhatIsAnsweredFromTheCache(t *testing.T) { // M24, M26
	t.Parallel()
	for _, c := range exchanges {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.rule == "" {
				c.rule = plainRule
			}
			if c.status == 0 {
				c.status = http.StatusOK
			}
			const target = "http://a.test/x?page=1"
			if c.target == "" {
				c.target = target
			}
			inBubble(t, c.rule, says(c.status, "body", c.answer...), func(t *testing.T, g *rig) {
				g.get(target, c.first...)
				time.Sleep(c.wait)
				w := g.get(c.target, c.second...)
				want(t, w, c.status, c.want, "body")
				if served := c.want == "HIT" || c.want == "STALE"; served != (w.Header().Get("X-Goma-Cache") == c.want) {
					t.Errorf("X-Goma-Cache: %v", w.Header()["X-Goma-Cache"])
				}
			})
		})
	}
}
