// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// all gives every problem of a document: of loading, of the settings, of merging.
func all(t *testing.T, name, text string, o LoadOptions) []Problem {
	t.Helper()
	f, problems, err := ParseFile(name, []byte(text), o)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	f.ApplyDefaults()
	problems = append(problems, ValidateFile(f)...)
	_, merged := Merge(f, nil)
	return append(problems, merged...)
}

func at(p Problem) string {
	return fmt.Sprintf("%d:%d %s", p.Position.Line, p.Position.Column, p.Field)
}

func TestEachProblemPointsAtItsField(t *testing.T) { // C5, C6
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"YAML in blocks": {`gateway:
  timeouts:
    read: -1
  proxy:
    trustedProxies:
      - 10.0.0.0/8
      - nowhere
  tls:
    clientAuth:
      required: true
  providers:
    http:
      enabled: true
      endpoint: file:///x
  routes:
    - name: a
      path: /a
      methods:
        - GET
        - FETCH
      backends:
        - endpoint: http://b
          match:
            - source: header
              name: X
              operator: like
              value: "1"
        - endpoint: nowhere
    - name: b
      path: /a/../b
      target: http://b
      healthCheck:
        interval: 5s
    - path: /c
      target: http://b
    - name: b2
      path: /x
      target: http://b
    - name: b2
      path: /y
      target: http://b
middlewares:
  - name: m
    paths:
      - /x
      - " "
`, `3:11 gateway.timeouts.read
7:9 gateway.proxy.trustedProxies[1]
9:5 gateway.tls.clientAuth.clientCA
14:17 gateway.providers.http.endpoint
20:11 methods[1]
26:25 backends[0].match[0].operator
28:21 backends[1].endpoint
30:13 path
32:7 healthCheck.path
34:7 name
39:13 name
43:5 type
46:9 paths[1]`},
		"YAML in one line": {
			`{gateway: {timeouts: {read: -1}, routes: [{name: a, path: "/é", target: x, hosts: ["a b"]}]}}`,
			"1:29 gateway.timeouts.read\n1:84 hosts[0]\n1:73 target",
		},
		"JSON": {`{
  "gateway": {
    "timeouts": {"write": 1, "read": -1},
    "log": {
      "level" : "loud"
    },
    "routes": [
      {"name": "é", "path": "/a", "target": "x", "methods": ["GET", "FETCH"]},
      {"name": "b",
       "path": "/b"}
    ]
  }
}`, `3:38 gateway.timeouts.read
5:17 gateway.log.level
8:69 methods[1]
8:45 target
9:7 target`},
		"a former spelling": {
			"gateway:\n  readTimeout: -1\n  routes:\n    - name: a\n      path: /a\n      destination: x\n      maintenance:\n        status: 1\n",
			"2:16 gateway.readTimeout\n6:20 destination\n8:17 maintenance.status\n2:16 gateway.timeouts.read\n6:20 target\n8:17 maintenance.statusCode",
		},
		"an unknown key":       {"gateway:\n  timeout: {read: 5}\n", "2:3 gateway.timeout"},
		"a call of a function": {"gateway: {analytics: {gatewayId: {{uuid()}}}, reload: {token: {{ randomHex(3) }}, path: é}, timeouts: {read: -1}}\n", "1:110 gateway.timeouts.read\n1:89 gateway.reload.path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range all(t, "goma.yml", c.text, LoadOptions{}) {
				got = append(got, at(p))
			}
			if got := strings.Join(got, "\n"); got != c.want {
				t.Errorf("problems at\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestAMistakeOfJSONIsPointedAt(t *testing.T) { // C9
	t.Parallel()
	for text, want := range map[string]string{
		"{\n \"gateway\": {},\n \"gateway\": {}}": "3:2",
		"{\"gateway\": {}} 1":                     "1:17",
		"{\"gateway\": {\"debug\": ":              "1:23",
	} {
		_, problems, err := ParseFile("goma.yml", []byte(text), LoadOptions{})
		if err == nil || len(problems) != 1 || !strings.HasPrefix(at(problems[0]), want+" ") {
			t.Errorf("%q: %v", text, lines(problems))
		}
	}
}

func TestPlacesAreFoundAsTheyWereNoted(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	paths := []string{"", "a", "a.b", "a[0]", "a[0].b", "a[10]", "ab", "headers.X.Y", "headers.X", "rule.a.b.c"}
	for range 200 {
		p, want := &placer{}, map[string]Position{}
		for range r.IntN(12) {
			path := paths[r.IntN(len(paths))]
			if _, known := want[path]; known {
				continue
			}
			want[path] = Position{File: "f", Line: 1 + r.IntN(1<<20), Column: 1 + r.IntN(300)}
			p.note(path, want[path])
		}
		for _, path := range paths {
			got, ok := p.places().find("f", path)
			expected, there := nearest(want, path)
			if got != expected || ok != there {
				t.Fatalf("%q of %v is %v %v, want %v %v", path, want, got, ok, expected, there)
			}
		}
	}
}

// nearest is the plain way to find a place.
func nearest(known map[string]Position, path string) (Position, bool) {
	for {
		if at, ok := known[path]; ok || path == "" {
			return at, ok
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

func TestAnObjectThatMovesIsTheSame(t *testing.T) {
	t.Parallel()
	read := func(text string) *Bundle {
		b, _, err := ParseBundle("b.yml", []byte(text), LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a := read("routes: [{name: a, path: /, target: http://a}]").Routes[0]
	b := read("# moved\nroutes:\n- name: a\n  path: /\n  target: http://a\n").Routes[0]
	if a.Meta == b.Meta || a.Meta.Unplaced() != b.Meta.Unplaced() {
		t.Errorf("%+v and %+v", a.Meta, b.Meta)
	}
	if got := b.Meta.Place("backends[3].weight"); got != b.Meta.Position || got.Line != 3 {
		t.Errorf("what is not there is at %v", got)
	}
}
