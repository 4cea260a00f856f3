// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func sealer(t *testing.T, secret string, purpose ...string) *Sealer {
	t.Helper()
	s, err := NewSealer(secret, purpose...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOnlyWhatWasSealedOpens(t *testing.T) { // M11
	t.Parallel()
	s := sealer(t, "secret", "a", "b")
	text := s.Seal("session", []byte("hello"))
	if plain, ok := sealer(t, "secret", "a", "b").Open("session", text); !ok || string(plain) != "hello" {
		t.Error("another replica cannot open it")
	}
	for name, other := range map[string]*Sealer{
		"another secret": sealer(t, "secret2", "a", "b"), "another purpose": sealer(t, "secret", "a", "c"), "a shifted purpose": sealer(t, "secret", "ab", ""),
	} {
		if _, ok := other.Open("session", text); ok {
			t.Errorf("%s opens it", name)
		}
	}
	if _, ok := s.Open("login", text); ok {
		t.Error("it opens as another kind")
	}
	if s.Seal("session", []byte("hello")) == text {
		t.Error("two sealed texts are the same")
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || strings.Contains(string(raw), "hello") {
		t.Error("it can be read")
	}
	for i := range raw {
		raw[i] ^= 1
		if _, ok := s.Open("session", base64.RawURLEncoding.EncodeToString(raw)); ok {
			t.Errorf("it opens with byte %d changed", i)
		}
		raw[i] ^= 1
	}
}

func FuzzOpen(f *testing.F) { // M11
	s, err := NewSealer("secret")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := s.Open("session", text); ok {
			t.Fatalf("%q opens", text)
		}
	})
}

// browser keeps cookies as they are set.
func browser(t *testing.T, h http.Header, lines []string) http.Header {
	t.Helper()
	kept := map[string]string{}
	each(h, func(name, value string) { kept[name] = value })
	for _, line := range lines {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		if len(line) > 4096 {
			t.Errorf("a cookie of %d bytes", len(line))
		}
		if kept[c.Name] = c.Value; c.MaxAge < 0 {
			delete(kept, c.Name)
		}
	}
	var parts []string
	for name, value := range kept {
		parts = append(parts, name+"="+value)
	}
	return http.Header{"Cookie": {strings.Join(parts, "; ")}}
}

func TestATextIsKeptInAsManyCookiesAsItTakes(t *testing.T) { // M11
	t.Parallel()
	c := Cookie{Name: "goma", Path: "/", Secure: true}
	h := http.Header{"Cookie": {"other=1; __Host-gomaX=2; __Host-goma.x=3"}}
	for _, length := range []int{1, pieceBytes, pieceBytes + 1, mostPieces * pieceBytes, 2 * pieceBytes, 10} {
		text := strings.Repeat("0123456789", length/10+1)[:length]
		lines, err := c.Set(h, text, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		h = browser(t, h, lines)
		if got := c.Get(h); got != text {
			t.Errorf("of %d bytes %d come back", length, len(got))
		}
	}
	if _, err := c.Set(h, strings.Repeat("x", mostPieces*pieceBytes+1), time.Hour); err == nil {
		t.Error("a text that is too long is kept")
	}
	h = browser(t, h, c.Clear(h))
	if got := c.Get(h); got != "" || strings.Count(h.Get("Cookie"), "=") != 3 {
		t.Errorf("left over: %q in %v", got, h)
	}
}

func TestACookieSaysWhatBrowsersHaveToKeepTo(t *testing.T) { // M11
	t.Parallel()
	for want, c := range map[string]Cookie{
		"__Host-g=x; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax":                     {Name: "g", Path: "/", Secure: true},
		"__Secure-g=x; Path=/app; Max-Age=60; HttpOnly; Secure; SameSite=Lax":                {Name: "g", Path: "/app", Secure: true},
		"__Secure-g=x; Path=/; Domain=shop.test; Max-Age=60; HttpOnly; Secure; SameSite=Lax": {Name: "g", Path: "/", Domain: "shop.test", Secure: true},
		"g=x; Path=/app; Max-Age=60; HttpOnly; SameSite=Lax":                                 {Name: "g", Path: "/app"},
	} {
		lines, err := c.Set(nil, "x", time.Minute)
		if err != nil || len(lines) != 1 || lines[0] != want {
			t.Errorf("%v, %v; want %s", lines, err, want)
		}
	}
}

func TestStripTakesOnlyWhatIsMine(t *testing.T) { // M11
	t.Parallel()
	mine := func(name string) bool { return strings.HasPrefix(name, "goma") }
	for in, want := range map[string]string{
		"a=1; goma=2; b=3":      "a=1; b=3",
		"goma=2":                "",
		" goma =2 ;a=1":         "a=1",
		"a=goma=2;  b=\"x; y\"": "a=goma=2;  b=\"x; y\"", // untouched
		"goma; a":               "a",
		"goma=1; goma=2;goma.1": "",
	} {
		h := http.Header{"Cookie": {in}}
		Strip(h, mine)
		if got := h.Get("Cookie"); got != want || want == "" && len(h) != 0 {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}

func FuzzStrip(f *testing.F) { // M11
	f.Add("a=1; goma=2", "goma=3;;")
	f.Fuzz(func(t *testing.T, one, two string) {
		mine := func(name string) bool { return strings.HasPrefix(name, "goma") }
		h := http.Header{"Cookie": {one, two}}
		Strip(h, mine)
		each(h, func(name, _ string) {
			if mine(name) {
				t.Fatalf("%q, %q: left over: %q", one, two, h)
			}
		})
	})
}

func TestSeenForgetsInTime(t *testing.T) { // M9
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s Seen
		if !s.Add("a", time.Minute) || s.Add("a", time.Minute) || !s.Has("a") || s.Has("b") {
			t.Error("a name is new once")
		}
		time.Sleep(time.Minute)
		if s.Has("a") || !s.Add("a", time.Minute) {
			t.Error("a name is not forgotten")
		}
		for i := range 2*most + 1 {
			s.Add(strconv.Itoa(i), time.Minute)
		}
		if len(s.until) > most {
			t.Errorf("%d names are remembered", len(s.until))
		}
	})
}
