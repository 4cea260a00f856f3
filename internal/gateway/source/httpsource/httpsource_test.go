// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestADocumentOfEitherSyntaxIsRead(t *testing.T) {
	t.Parallel()
	yaml := "version: v1\nroutes:\n  - name: a\n    path: /a\n    target: http://127.0.0.1:1\n"
	for _, c := range []struct{ name, kind, text string }{
		{"JSON", "application/json", bundleA},
		{"YAML", "application/yaml", yaml},
		{"YAML as text", "text/plain", "---\n" + yaml},
		{"JSON without a type", "", "\n " + bundleA},
		{"with metadata", "application/json", `{"version":"1","metadata":{"k":"v"},"checksum":"c","timestamp":"t",` + bundleA[1:]},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := plain(t, body(c.kind, c.text))
			u := run(t, settings(t, s.URL+"/r")).next()
			if names(u) != "a " || len(u.Problems) != 0 {
				t.Errorf("%s, %v", names(u), u.Problems)
			}
		})
	}
}

func TestWhatIsNoBundleReplacesNothing(t *testing.T) { // S3
	t.Parallel()
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		says string
	}{
		{"a page of HTML", body("text/html; charset=utf-8", "<html>routes: []</html>"), "HTML"},
		{"a page of HTML that says it is text", body("text/plain", "<html><body>502</body></html>"), "neither"},
		{"nothing", body("application/json", ""), "empty"},
		{"white space", body("application/json", " \n\n"), "empty"},
		{"an object of an error", body("application/json", `{"error":"quota"}`), "neither routes nor middlewares"},
		{"an object without anything", body("application/json", `{}`), "neither routes nor middlewares"},
		{"routes that are null", body("application/json", `{"routes":null}`), "neither routes nor middlewares"},
		{"a list", body("application/json", `[]`), "neither"},
		{"half an object", body("application/json", bundleA[:30]), "cannot be used"},
		{"a status without content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "204"},
		{"a partial answer", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206); _, _ = io.WriteString(w, bundleA) }, "206"},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); _, _ = io.WriteString(w, bundleA) }, "500"},
		{"a refusal", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "check the headers"},
		{"an answer that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, bundleA)
		}, "breaks off"},
		{"an answer that is too large", func(w http.ResponseWriter, _ *http.Request) {
			spaces := []byte(strings.Repeat(" ", 1<<20))
			for range maxBody>>20 + 1 {
				if _, err := w.Write(spaces); err != nil {
					return
				}
			}
		}, "more than"},
		{"a bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z, spaces := gzip.NewWriter(w), []byte(strings.Repeat(" ", 1<<20))
			for range maxBody>>20 + 1 {
				if _, err := z.Write(spaces); err != nil {
					return
				}
			}
			_ = z.Close()
		}, "more than"},
		{"a redirect without end", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }, "redirects"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := plain(t, body("application/json", bundleA))
			r := run(t, settings(t, s.URL+"/r"))
			first := r.next()
			s.set(c.h)
			list, err := r.refresh()
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one with %q", err, c.says)
			}
			if len(list) != 1 || list[0].Bundle != first.Bundle || len(list[0].Problems) != 1 ||
				!strings.Contains(list[0].Problems[0].Message, "last good") || !strings.Contains(list[0].Problems[0].Message, c.says) {
				t.Errorf("updates %+v", list)
			}
			s.set(body("application/json", `{"routes":[]}`))
			list, err = r.refresh()
			if err != nil || len(list) != 1 || len(list[0].Bundle.Routes) != 0 || len(list[0].Problems) != 0 {
				t.Errorf("an empty list takes all away: %+v, %v", list, err)
			}
		})
	}
}

func TestOneBadObjectDoesNotHoldBackTheOthers(t *testing.T) { // C4
	t.Parallel()
	s := plain(t, body("application/json", `{"routes":[{"name":"a","path":"/a","target":"http://b:1"},{"name":"bad","path":`))
	r := run(t, settings(t, s.URL))
	if u := r.next(); u.Bundle != nil {
		t.Fatalf("broken JSON gives %s", names(u))
	}
	s.set(body("application/json", `{"routes":[{"name":"a","path":"/a","target":"http://b:1"},{"name":"bad","path":["x"]}]}`))
	list, err := r.refresh()
	if err != nil || len(list) != 1 || !strings.Contains(names(list[0]), "a ") || len(list[0].Problems) == 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestTheServerIsAskedWithWhatItSaid(t *testing.T) {
	t.Parallel()
	date := "Wed, 21 Oct 2015 07:28:00 GMT"
	sum := newValidators(http.Header{}, []byte(bundleA)).checksum
	for _, c := range []struct {
		name          string
		tag, modified string
		match, since  string
	}{
		{"a tag in quotes", `"v1"`, date, `"v1"`, ""},
		{"a weak tag", `W/"v1"`, "", `W/"v1"`, ""},
		{"a bare tag of the former format", "0a1b2c", "", "0a1b2c", ""},
		{"a date alone", "", date, "", date},
		{"neither", "", "", sum, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := plain(t, func(w http.ResponseWriter, r *http.Request) {
				if c.tag != "" {
					w.Header().Set("ETag", c.tag)
				}
				if c.modified != "" {
					w.Header().Set("Last-Modified", c.modified)
				}
				if r.Header.Get("If-None-Match") == c.match && r.Header.Get("If-Modified-Since") == c.since {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				_, _ = io.WriteString(w, bundleA)
			})
			r := run(t, settings(t, s.URL))
			r.next()
			if q, _ := s.last(); q.Header.Get("If-None-Match") != "" || q.Header.Get("If-Modified-Since") != "" {
				t.Error("the first request has a condition")
			}
			list, err := r.refresh()
			if err != nil || len(list) != 0 {
				t.Errorf("%+v, %v", list, err)
			}
			q, n := s.last()
			if q.Header.Get("If-None-Match") != c.match || q.Header.Get("If-Modified-Since") != c.since || n != 2 {
				t.Errorf("asked %q %q, %d times", q.Header.Get("If-None-Match"), q.Header.Get("If-Modified-Since"), n)
			}
		})
	}
}

func TestA304WithoutAConditionIsAnError(t *testing.T) { // S3
	t.Parallel()
	s := plain(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	u := run(t, settings(t, s.URL)).next()
	if u.Bundle != nil || len(u.Problems) != 1 || !strings.Contains(u.Problems[0].Message, "304") {
		t.Errorf("%+v", u)
	}
}

func TestTheRequestIsThatOfTheFormat(t *testing.T) {
	t.Parallel()
	s := plain(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("X-API-Key") != "key" || r.Header.Get("X-Goma-Meta-Env") != "prod" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, bundleA)
	})
	p := settings(t, s.URL+"/api/v1/config?x=1")
	p.Headers = map[string]config.Secret{"X-API-Key": "key", "x-goma-meta-env": "prod", "Host": "config.example.com", "X-Unset": ""}
	if u := run(t, p).next(); names(u) != "a " {
		t.Fatalf("%+v", u)
	}
	q, _ := s.last()
	if q.Header.Get("Accept") != "application/json, application/yaml, application/x-yaml, text/yaml" ||
		q.Header.Get("User-Agent") != "goma-gateway/1.2.3" || q.Host != "config.example.com" || q.URL.RawQuery != "x=1" {
		t.Errorf("%s %v", q.URL, q.Header)
	}
	if _, ok := q.Header["X-Unset"]; ok {
		t.Error("a credential that is not set is sent")
	}
}

func TestCredentialsDoNotLeaveTheirHost(t *testing.T) { // S3
	t.Parallel()
	var second *server
	first := plain(t, func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "user" || p != "canary" || r.Header.Get("X-API-Key") != "canary" {
			t.Errorf("the first host got %v", r.Header)
		}
		http.Redirect(w, r, second.URL+"/there", http.StatusFound)
	})
	second = plain(t, func(w http.ResponseWriter, r *http.Request) {
		if fmt.Sprint(r.Header, r.URL) != "" && strings.Contains(fmt.Sprint(r.Header, r.URL), "canary") || r.Header.Get("Authorization") != "" {
			t.Errorf("the second host got %v", r.Header)
		}
		_, _ = io.WriteString(w, bundleA)
	})
	p := settings(t, strings.Replace(first.URL, "://", "://user:canary@", 1)+"/r")
	p.Headers = map[string]config.Secret{"X-API-Key": "canary"}
	u := run(t, p).next()
	if names(u) != "a " {
		t.Errorf("%+v", u)
	}
}

func TestNothingThatIsSaidHoldsACredential(t *testing.T) { // C8
	t.Parallel()
	s := plain(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) })
	endpoint := strings.Replace(s.URL, "://", "://user:canary@", 1) + "/r?token=canary"
	p := settings(t, endpoint)
	r := run(t, p)
	u := r.next()
	s.Close()
	list, err := r.refresh()
	if err == nil {
		t.Error("a server that is gone is no error")
	}
	if text := fmt.Sprint(u.Problems, list, err); strings.Contains(text, "canary") || !strings.Contains(text, "/r") {
		t.Errorf("%s", text)
	}
}

func TestAServerThatWaitsMakesAChangeLiveAtOnce(t *testing.T) {
	t.Parallel()
	change := make(chan struct{})
	waiting := make(chan struct{}, 10)
	s := plain(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Prefer") == "" {
			w.Header().Set("ETag", `"1"`)
			_, _ = io.WriteString(w, bundleA)
			return
		}
		if r.Header.Get("Prefer") != "wait=600" || r.Header.Get("If-None-Match") == "" {
			t.Errorf("asked with %v", r.Header)
		}
		waiting <- struct{}{}
		select {
		case <-change:
		case <-r.Context().Done():
			return
		}
		change = nil
		w.Header().Set("Preference-Applied", "wait")
		w.Header().Set("ETag", `"2"`)
		_, _ = io.WriteString(w, strings.ReplaceAll(bundleA, `"a"`, `"b"`))
	})
	p := settings(t, s.URL)
	p.Wait, p.Interval = config.Duration(10*time.Minute), config.Duration(10*time.Millisecond)
	r := run(t, p)
	if u := r.next(); names(u) != "a " {
		t.Fatalf("%+v", u)
	}
	<-waiting
	close(change)
	if u := r.next(); names(u) != "b " {
		t.Fatalf("%+v", u)
	}
	<-waiting // it is asked again at once, though the change took no time
}

func TestAServerThatIsBusySaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{"7": 7 * time.Second, "": 0, "nonsense": 0, "-3": 0, "99999999": 24 * time.Hour} {
		if got := retryAfter(value); got != want {
			t.Errorf("%q is %v, want %v", value, got, want)
		}
	}
	if got := retryAfter(time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)); got < 58*time.Minute || got > time.Hour {
		t.Errorf("a date is %v", got)
	}
}
