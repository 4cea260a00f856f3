// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

func TestRewrite(t *testing.T) { // P3
	t.Parallel()
	for _, c := range []struct{ path, to, request, want string }{
		{"/api", "", "/api/x", "/api/x"},
		{"/api", "/v1/", "/api", "/v1/"}, // as it is written
		{"/api", "v1", "/api/x", "/v1/x"},
		{"/api/*", "/v1", "/api/x", "/v1/x"},
		{"/*", "/v1", "/x", "/v1/x"},
		{"*", "/v1", "/x", "/v1/x"},
		{"", "/v1", "/x", "/v1/x"},
		{"/", "/v1", "/", "/v1/"},
		{"/api", "/v1", "/", "/"},
		{"/a/{id}", "/v1", "/a/", "/a/"}, // a placeholder stands for some text
		{"/a/{id}/c", "/v1", "/a/b%2Fb/c/d", "/v1/d"},
		{"/API", "/v1", "/api/x", "/api/x"},
		{"/café au lait", "/menü", "/caf%C3%A9%20au%20lait/x", "/men%C3%BC/x"},
		{"/caf%c3%a9", "/v1", "/caf%C3%A9/x", "/v1/x"},
		{"/%7Eann", "/home", "/~ann/x", "/home/x"},
		{"/api", "/100%", "/api/x", "/100%25/x"}, // no path as written: meant literally
		{"/api", "/v1", "/api/..%2F..%2Fadmin", "/v1/..%2F..%2Fadmin"},
	} {
		if got := newRewriter(c.path, c.to).apply(c.request); got != c.want {
			t.Errorf("rewriting %q of %q to %q gives %q, want %q", c.request, c.path, c.to, got, c.want)
		}
	}
}

func FuzzRewritingKeepsTheNormalForm(f *testing.F) { // P3
	f.Add("/api", "/v1", "/api/users")
	f.Add("/{a}/b", "/v1/", "/x/b/%2E/c")
	f.Add("/", "/a%2fb", "/x;y=1/..;z")
	f.Fuzz(func(t *testing.T, path, to, request string) {
		request, err := normal.Path(request)
		if err != nil {
			return
		}
		for segment := range strings.SplitSeq(to, "/") {
			if segment == "." || segment == ".." || strings.ContainsAny(segment, "?# \\") {
				return // refused when the route is read
			}
		}
		if _, err := normal.Path("/" + to); err != nil {
			return
		}
		got := newRewriter(path, to).apply(request)
		if again, err := normal.Path(got); err != nil || again != got {
			t.Fatalf("rewriting %q of %q to %q gives %q, which is %q, %v", request, path, to, got, again, err)
		}
	})
}
