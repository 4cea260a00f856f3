// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// entries makes entries from lines such as `name [+priority] [GET,POST] host/path`.
// Several hosts are separated by commas.
func entries(t *testing.T, lines ...string) []*Entry {
	t.Helper()
	var list []*Entry
	for _, line := range lines {
		e, problems := New(parseRoute(line), nil)
		if len(problems) > 0 {
			t.Fatalf("%s: %v", line, problems)
		}
		list = append(list, e)
	}
	return list
}

func parseRoute(line string) *config.Route {
	fields := strings.Fields(line)
	r := &config.Route{Name: fields[0]}
	r.Meta.Ref = config.ObjectRef{Kind: "Route", Name: r.Name}
	for _, f := range fields[1:] {
		switch {
		case strings.HasPrefix(f, "+"):
			r.Priority = len(f)
		case strings.HasPrefix(f, "@"):
			r.Meta.Created = time.Unix(int64(len(f)), 0)
		case strings.Contains(f, "/"):
			hosts, path, _ := strings.Cut(f, "/")
			r.Path = "/" + path
			if hosts != "" {
				r.Hosts = strings.Split(hosts, ",")
			}
		default:
			r.Methods = strings.Split(f, ",")
		}
	}
	return r
}

func table(t *testing.T, lines ...string) *Table {
	t.Helper()
	tab, _ := Build(nil, entries(t, lines...))
	return tab
}

func TestTheMostSpecificRouteServes(t *testing.T) {
	t.Parallel()
	routes := []string{
		"root /",
		"api /api",
		"user /api/users/{id}",
		"me /api/users/me",
		"posts /api/users/{id}/posts/",
		"www example.com/",
		"www-port example.com:8443/",
		"www-api example.com/api",
		"wild *.example.com/",
		"one {sub}.example.com/",
		"deep *.a.example.com/",
		"many {sub...}.example.org/",
		"write POST,PUT /write",
		"read GET /write",
		"vip +++ /vip",
		"six [::1]/",
		"idn bücher.example/",
	}
	for _, c := range []struct{ name, method, host, path, want string }{
		{"the root takes everything", "GET", "any", "/x/y", "root"},
		{"a prefix takes itself", "GET", "any", "/api", "api"},
		{"a prefix takes what is below", "GET", "any", "/api/x", "api"},
		{"a prefix takes itself with a slash", "GET", "any", "/api/", "api"},
		{"R1: a prefix ends at a segment", "GET", "any", "/apiary", "root"},
		{"R1: case counts", "GET", "any", "/API", "root"},
		{"a placeholder takes one segment", "GET", "any", "/api/users/7", "user"},
		{"a placeholder takes no empty segment", "GET", "any", "/api/users/", "api"},
		{"a literal comes before a placeholder", "GET", "any", "/api/users/me", "me"},
		{"what a literal does not go on with, a placeholder may", "GET", "any", "/api/users/me/posts", "posts"},
		{"an encoded slash is no separator", "GET", "any", "/api/users/a%2Fposts", "user"},
		{"R3: an exact host takes any port", "GET", "example.com:1", "/", "www"},
		{"R3: a host with port comes before one without", "GET", "example.com:8443", "/", "www-port"},
		{"host comes before path", "GET", "example.com:8443", "/api/users/me", "www-port"},
		{"path decides within a host", "GET", "example.com", "/api/x", "www-api"},
		{"R3: a wildcard does not take the apex", "GET", "example.org", "/", "root"},
		{"one label comes before many", "GET", "x.example.com", "/", "one"},
		{"a wildcard takes several labels", "GET", "x.y.example.com", "/", "wild"},
		{"the longest wildcard wins", "GET", "x.a.example.com", "/", "deep"},
		{"a placeholder with dots takes several labels", "GET", "x.y.example.org", "/", "many"},
		{"R3: an address is a host", "GET", "[::1]:8080", "/", "six"},
		{"R3: names are compared as punycode", "GET", "xn--bcher-kva.example", "/", "idn"},
		{"no host at all is any host", "GET", "", "/api", "api"},
		{"methods part routes of one path", "POST", "any", "/write", "write"},
		{"R5: GET admits HEAD", "HEAD", "any", "/write", "read"},
		{"R5: methods are compared in upper case", "get", "any", "/write", "read"},
		{"a method that is not admitted falls to a less specific route", "DELETE", "any", "/write", "root"},
		{"R5: an unknown method passes where none is named", "PROPFIND", "any", "/api", "api"},
		{"R2: a higher priority comes before the host", "GET", "example.com", "/vip", "vip"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, order := range [][]string{routes, reversed(routes)} { // R2: the order of input does not matter
				m := table(t, order...).Find(c.method, c.host, c.path)
				if m.Entry == nil || m.Entry.Name != c.want || m.Allow != "" {
					t.Errorf("got %+v, want %s", m.Entry, c.want)
				}
			}
		})
	}
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func TestAMethodThatNoRouteAdmitsGetsTheMethodsThatAre(t *testing.T) { // R5
	t.Parallel()
	tab := table(t, "a GET,POST /a", "b PUT /a/{x}", "c DELETE x.com/a")
	m := tab.Find("DELETE", "y.com", "/a/1")
	if m.Entry == nil || m.Entry.Name != "b" || m.Allow != "GET, HEAD, POST, PUT" {
		t.Errorf("got %+v", m)
	}
	if m := tab.Find("GET", "y.com", "/b"); m.Entry != nil || m.Allow != "" {
		t.Errorf("got %+v for a path that nobody takes", m)
	}
}

func TestOfTwoRoutesWithOneMatchTheOlderServes(t *testing.T) { // R2, D5
	t.Parallel()
	for _, c := range []struct {
		name   string
		routes []string
		serves string
		want   []Conflict
	}{
		{"the first in the list when age is equal", []string{"a /x", "b /x/"}, "a", []Conflict{{Host: "*", Entirely: true}}},
		{"the older whatever the list says", []string{"b @@@ /x", "a @ /x"}, "a", []Conflict{{Host: "*", Entirely: true}}},
		{"names of placeholders do not part routes", []string{"a /{x}", "b /{y}"}, "a", []Conflict{{Host: "*", Entirely: true}}},
		{"spellings of any host are equal", []string{"a /x", "b *,{h...}/x"}, "a", []Conflict{{Host: "*", Entirely: true}}},
		{"one host of two is lost", []string{"a p.com/x", "b p.com,q.com/x"}, "a", []Conflict{{Host: "p.com"}}},
		{"a higher priority outranks", []string{"b /x", "a + /x"}, "a", []Conflict{{Host: "*", Entirely: true, Outranked: true}}},
		{"methods in any order are equal", []string{"a GET,POST /x", "b post,get /x"}, "a", []Conflict{{Host: "*", Entirely: true}}},
		{"different methods are no conflict", []string{"b /x", "a GET /x"}, "a", nil},
		{"methods that overlap are no conflict", []string{"a GET /x", "b GET,POST /x"}, "a", nil},
		{"different paths are no conflict", []string{"b /x", "a /x/y"}, "a", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tab, conflicts := Build(nil, entries(t, c.routes...))
			path := "/x/y"
			if strings.Contains(c.routes[0], "{") {
				path = "/z"
			}
			if m := tab.Find("GET", "p.com", path); m.Entry == nil || m.Entry.Name != c.serves {
				t.Errorf("%+v serves, want %s", m.Entry, c.serves)
			}
			for i := range conflicts {
				if conflicts[i].Winner.Name != "a" || conflicts[i].Loser.Name != "b" {
					t.Errorf("%s loses against %s", conflicts[i].Loser.Name, conflicts[i].Winner.Name)
				}
				conflicts[i].Winner, conflicts[i].Loser = nil, nil
			}
			if !slices.Equal(conflicts, c.want) {
				t.Errorf("got %+v, want %+v", conflicts, c.want)
			}
		})
	}
}

func TestTheLoserServesWhenTheWinnerGoes(t *testing.T) {
	t.Parallel()
	list := entries(t, "a /x", "b /x", "c /y")
	first, conflicts := Build(nil, list)
	if len(conflicts) != 1 {
		t.Fatalf("%d conflicts", len(conflicts))
	}
	second, conflicts := Build(first, list[1:])
	if len(conflicts) != 0 || second.Find("GET", "h", "/x").Entry != list[1] {
		t.Errorf("%d conflicts, %+v serves", len(conflicts), second.Find("GET", "h", "/x").Entry)
	}
	if first.Find("GET", "h", "/x").Entry != list[0] {
		t.Error("the table of before has changed")
	}
	swapped, _ := Build(first, []*Entry{list[1], list[0], list[2]})
	if swapped.Find("GET", "h", "/x").Entry != list[1] || first.Find("GET", "h", "/x").Entry != list[0] {
		t.Error("the order of the list does not decide between equals")
	}
	empty, _ := Build(swapped, nil)
	if len(empty.sites) != 0 || len(empty.crowded) != 0 {
		t.Errorf("%d sites and %d places are left of an empty table", len(empty.sites), len(empty.crowded))
	}
}

func TestWhatNobodyCanMatchIsAProblemOfItsRoute(t *testing.T) { // C10
	t.Parallel()
	for _, c := range []struct{ route, field string }{
		{"r /files/{name}.json", "path"},
		{"r /x/{id:[0-9]+}", "path"},
		{"r /x/{}", "path"},
		{"r /a//b", "path"},
		{"r /a/../b", "path"},
		{"r /a/%2e%2e/b", "path"},
		{"r /a/*/b", "path"},
		{"r /a%zz", "path"},
		{"r ok.com,a..b/x", "hosts[1]"},
		{"r a_b.*.com/x", "hosts[0]"},
		{"r {x}y.com/x", "hosts[0]"},
		{"r {x.com/x", "hosts[0]"},
		{"r x.com:99999/x", "hosts[0]"},
		{"r http:/x", "hosts[0]"},
	} {
		e, problems := New(parseRoute(c.route), nil)
		if e != nil || len(problems) != 1 || problems[0].Field != c.field || problems[0].Reason != config.ReasonInvalid ||
			problems[0].Object.Name != "r" {
			t.Errorf("%s: %v", c.route, problems)
		}
	}
}

func TestAPathIsWrittenInSeveralWays(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "/", "/": "/", "/*": "/", "*": "/", "api": "/api", "/api/": "/api", "/api/*": "/api",
		"/a b": "/a%20b", "/a%2fb": "/a%2Fb", "/café": "/caf%C3%A9", "/{id}/x": "/{}/x", "/%61": "/a",
	} {
		e, problems := New(&config.Route{Name: "r", Path: in}, nil)
		if len(problems) > 0 || e.Path != want {
			t.Errorf("%q is %+v, %v; want %s", in, e, problems, want)
		}
	}
}

func TestExplainNamesThePredicateThatFailed(t *testing.T) { // R6
	t.Parallel()
	tab := table(t,
		"root /", "api GET x.com/api", "post POST x.com/api", "other y.com/api", "deep x.com/api/deep", "far z.com/far", "low /api")
	m, got := tab.Explain("GET", "x.com", "/api/v1")
	if m.Entry == nil || m.Entry.Name != "api" {
		t.Fatalf("%+v serves", m.Entry)
	}
	var lines []string
	for _, c := range got {
		lines = append(lines, c.Entry.Name+": "+c.Failed)
	}
	want := []string{
		"api: ",
		"low: route api names the host more exactly",
		"root: route api names the host more exactly",
		"post: the method is none of POST",
		"deep: the path is not /api/deep or below it",
		"other: the host is none of y.com",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}
