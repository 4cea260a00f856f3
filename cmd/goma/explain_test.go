// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const shopManifests = `
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Gateway
metadata: {name: prod}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: shop}
spec: {gateways: [prod], hosts: [shop.example.com], path: /api, methods: [GET], target: "http://shop:80"}
---
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Route
metadata: {name: guarded}
spec: {gateways: [prod], path: /guarded, target: "http://shop:80", middlewares: [missing]}
`

func TestExplainSaysWhichRouteServesAndWhyNoOther(t *testing.T) { // R6
	t.Parallel()
	file := filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(file, []byte(shopManifests), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		method, url string
		want        []string
		fails       bool
	}{
		"a match":           {"get", "https://SHOP.example.com/api/%61?q=1", []string{"GET shop.example.com/api/a\n", "route: shop\n", "serves"}, false},
		"another host":      {"GET", "https://other.example.com/api", []string{"answer: 404", "the host is none of shop.example.com"}, false},
		"another path":      {"GET", "https://shop.example.com/apiary", []string{"answer: 404", "the path is not /api or below it"}, false},
		"another method":    {"POST", "https://shop.example.com/api", []string{"answer: 405", "the methods are GET, HEAD"}, false},
		"what is missing":   {"GET", "http://h/guarded", []string{"answer: 503, middleware missing is missing"}, false},
		"a path refused":    {"GET", "http://h/..%2f/x", []string{"answer: 400"}, false},
		"what is no URL":    {"GET", "/api", []string{"is no URL"}, true},
		"another scheme":    {"GET", "ftp://h/api", []string{"is no URL"}, true},
		"a host that is no": {"GET", "http://a_b%20c/", []string{""}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			c := command()
			c.SetOut(&out)
			c.SetErr(&out)
			c.SetArgs([]string{"explain", x.method, x.url, "-f", file})
			err := c.ExecuteContext(t.Context())
			if (err != nil) != x.fails || errors.Is(err, errReported) {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if err != nil {
				out.WriteString(err.Error())
			}
			for _, want := range x.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
}
