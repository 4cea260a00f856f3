// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package normal

import (
	"errors"
	"strings"
	"testing"
)

func TestAPathHasOneNormalForm(t *testing.T) { // P1
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "/",
		"/":                       "/",
		"//":                      "/",
		"/api":                    "/api",
		"/api/":                   "/api/",
		"//api///v1//":            "/api/v1/",
		"/a/./b":                  "/a/b",
		"/a/.":                    "/a/",
		"/api/../secret":          "/secret",
		"/a/b/..":                 "/a/",
		"/a/..":                   "/",
		"/a/%2e/b":                "/a/b",
		"/a/%2e%2E/b":             "/b",
		"/a/.%2e/b":               "/b",
		"/%61%70%69":              "/api",
		"/a%2fb":                  "/a%2Fb",
		"/a%2Fb":                  "/a%2Fb",
		"/a%5cb":                  "/a%5Cb",
		"/a/%252e%252e/b":         "/a/%252e%252e/b",
		"/a%20b":                  "/a%20b",
		"/a%23b":                  "/a%23b",
		"/a%3fb":                  "/a%3Fb",
		"/a%3Bb":                  "/a;b",
		"/caf%c3%a9":              "/caf%C3%A9",
		"/café":                   "/caf%C3%A9",
		"/a|b":                    "/a%7Cb",
		"/{id}":                   "/%7Bid%7D",
		"/...":                    "/...",
		"/..a/.b/c.":              "/..a/.b/c.",
		"/.well-known/acme/x":     "/.well-known/acme/x",
		"/a;v=1/b":                "/a;v=1/b",
		"/a:b@c!$&'()*+,;=d-_.~e": "/a:b@c!$&'()*+,;=d-_.~e",
	} {
		got, err := Path(in)
		if err != nil || got != want {
			t.Errorf("Path(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestAPathThatIsTwoPathsAtOnceIsRefused(t *testing.T) { // P1
	t.Parallel()
	for in, want := range map[string]error{
		"api":              ErrNotAbsolute,
		"*":                ErrNotAbsolute,
		"/%":               ErrEscape,
		"/%2":              ErrEscape,
		"/%zz":             ErrEscape,
		"/a%00b":           ErrCharacter,
		"/a\x00b":          ErrCharacter,
		"/a%0d%0aHost:x":   ErrCharacter,
		"/a%7f":            ErrCharacter,
		"/a\tb":            ErrCharacter,
		"/a b":             ErrCharacter,
		"/a#frag":          ErrCharacter,
		"/a?b":             ErrCharacter,
		`/a\..\b`:          ErrCharacter,
		"/a/..%2fb":        ErrHiddenDot,
		"/a/%2e%2e%2Fb":    ErrHiddenDot,
		"/a%2f..%2fb":      ErrHiddenDot,
		"/a%5c..%5cb":      ErrHiddenDot,
		"/a/..%5cb":        ErrHiddenDot,
		"/a%2F.%2Fb":       ErrHiddenDot,
		"/x/..;/admin":     ErrHiddenDot,
		"/x/..;a=b/admin":  ErrHiddenDot,
		"/x/..%3b/admin":   ErrHiddenDot,
		"/x/.;/admin":      ErrHiddenDot,
		"/..":              ErrAboveRoot,
		"/../a":            ErrAboveRoot,
		"/a/../../b":       ErrAboveRoot,
		"/a/%c0%ae%c0%ae/": ErrEncoding,
		"/%ff":             ErrEncoding,
		"/\xff":            ErrEncoding,
		"/%ed%a0%80":       ErrEncoding,
	} {
		if got, err := Path(in); !errors.Is(err, want) || got != "" {
			t.Errorf("Path(%q) = %q, %v; want %v", in, got, err, want)
		}
	}
}

func FuzzPath(f *testing.F) { // P1: norm(norm(p)) == norm(p), and the form is what doc.go says
	for _, s := range []string{
		"/", "/a/b/../c", "/%2e%2e/x", "/a%2Fb", "/..;/x", "//a//", "/caf\u00e9", "/%252e", "/a%5c..", "/x/.%2e;a/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		once, err := Path(in)
		if err != nil {
			return
		}
		twice, err := Path(once)
		if err != nil || twice != once {
			t.Fatalf("Path(%q) = %q, again %q, %v", in, once, twice, err)
		}
		if once[0] != '/' || strings.Contains(once, "//") || strings.ContainsAny(once, "?#\\ \"") {
			t.Fatalf("Path(%q) = %q is not normal", in, once)
		}
		for segment := range strings.SplitSeq(Decode(once), "/") {
			if segment == "." || segment == ".." {
				t.Fatalf("Path(%q) = %q keeps a dot segment", in, once)
			}
		}
	})
}

func TestANormalPathCostsNoMemory(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _, _ = Path("/api/v1/users/42") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAHostHasOneSpelling(t *testing.T) { // R3
	t.Parallel()
	for in, want := range map[string]string{
		"example.com":            "example.com",
		"EXAMPLE.com:8443":       "example.com:8443",
		"example.com.":           "example.com",
		"example.com.:080":       "example.com:80",
		"example.com:":           "example.com",
		"localhost":              "localhost",
		"a_b.example":            "a_b.example",
		"10.0.0.1:80":            "10.0.0.1:80",
		"[::1]":                  "[::1]",
		"[0:0::1]:8080":          "[::1]:8080",
		"[2001:DB8::A]":          "[2001:db8::a]",
		"bücher.example":         "xn--bcher-kva.example",
		"BÜCHER.example:1":       "xn--bcher-kva.example:1",
		"xn--bcher-kva.example.": "xn--bcher-kva.example",
	} {
		got, err := Host(in)
		if err != nil || got != want {
			t.Errorf("Host(%q) = %q, %v; want %q", in, got, err, want)
		}
		if again, err := Host(got); err != nil || again != got {
			t.Errorf("Host(%q) = %q, %v", got, again, err)
		}
	}
}

func TestAHostThatIsNoneIsRefused(t *testing.T) { // R3, H3
	t.Parallel()
	for _, in := range []string{
		"", ".", "a..b", "example.com..", "a b", "a%2eb", "a/b", "a@b", "a,b", "exa\x00mple",
		":80", "a:0", "a:65536", "a:-1", "a:+1", "a:b", "::1", "[::1", "[::1]x", "[fe80::1%eth0]",
		"[1.2.3.4]", "[]", "\xff.com", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 127) + "b",
	} {
		if got, err := Host(in); err == nil {
			t.Errorf("Host(%q) = %q, want an error", in, got)
		}
	}
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"example.com:80", "[::1]:8080", "b\u00fccher.de", "a.", "a:", "1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		once, err := Host(in)
		if err != nil {
			return
		}
		if twice, err := Host(once); err != nil || twice != once {
			t.Fatalf("Host(%q) = %q, again %q, %v", in, once, twice, err)
		}
	})
}
