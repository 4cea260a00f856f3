// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// reference is the table as a loop over all routes: what Find has to equal.
func reference(routes []*config.Route, method, host, path string) (serves string, admitted bool) {
	type ranked struct {
		name string
		key  []int
	}
	var found []ranked
	for i, r := range routes {
		hostRank, pathRank := referenceHost(r.Hosts, host), referencePath(r.Path, path)
		if hostRank < 0 || pathRank == nil {
			continue
		}
		admits := len(r.Methods) == 0 || slices.Contains(r.Methods, method)
		admits = admits || method == "HEAD" && slices.Contains(r.Methods, "GET")
		key := append([]int{flag(admits), r.Priority, hostRank}, pathRank...)
		found = append(found, ranked{r.Name, append(key, flag(len(r.Methods) > 0), -int(r.Meta.Created.Unix()), -i)})
	}
	if len(found) == 0 {
		return "", false
	}
	best := slices.MaxFunc(found, func(a, b ranked) int { return slices.Compare(a.key, b.key) })
	return best.name, best.key[0] == 1
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// referenceHost ranks the best pattern that takes the host; -1 for none.
func referenceHost(patterns []string, host string) int {
	if len(patterns) == 0 {
		patterns = []string{"*"}
	}
	name, port, _ := strings.Cut(host, ":")
	best := -1
	for _, p := range patterns {
		p, wanted, withPort := strings.Cut(p, ":")
		rank, before, ok := 0, "", false
		suffix := p
		for _, form := range []string{"*.", "{s}.", "{s...}."} {
			suffix = strings.TrimPrefix(suffix, form)
		}
		switch {
		case p == "*":
			ok = true
		case strings.HasPrefix(p, "*."), strings.HasPrefix(p, "{s...}."):
			ok = strings.HasSuffix(name, "."+suffix)
			rank = 10 * (1 + strings.Count(suffix, "."))
		case strings.HasPrefix(p, "{s}."):
			before, ok = strings.CutSuffix(name, "."+suffix)
			ok = ok && !strings.Contains(before, ".")
			rank = 10*(1+strings.Count(suffix, ".")) + 2
		default:
			rank, ok = 1000, p == name
		}
		if ok && (!withPort || wanted == port) {
			best = max(best, rank+flag(withPort))
		}
	}
	return best
}

// referencePath ranks a path that takes the request's; nil for one that does not.
func referencePath(pattern, path string) []int {
	want, have := strings.FieldsFunc(pattern, isSlash), strings.FieldsFunc(path, isSlash)
	if len(want) > len(have) {
		return nil
	}
	literals, shape := 0, 0
	for i, segment := range want {
		if segment[0] == '{' {
			continue
		}
		if segment != have[i] {
			return nil
		}
		literals++
		shape |= 1 << (20 - i)
	}
	return []int{literals, len(want), shape}
}

func isSlash(r rune) bool { return r == '/' }

// world makes routes and requests that meet each other often.
type world struct{ *rand.Rand }

func (w world) of(list ...string) string { return list[w.IntN(len(list))] }

func (w world) path(parts ...string) string {
	var b strings.Builder
	for range w.IntN(5) {
		b.WriteString("/" + w.of(parts...))
	}
	return cmp.Or(b.String(), "/")
}

func (w world) host() string {
	name := w.of("com", "x.com", "a.x.com", "b.a.x.com", "y.org")
	if w.IntN(4) == 0 {
		name += ":" + w.of("80", "81")
	}
	return name
}

func (w world) route(n int) *config.Route {
	r := &config.Route{Name: fmt.Sprint("r", n), Path: w.path("a", "b", "{p}", "{q}"), Priority: w.IntN(8) / 7}
	for range w.IntN(3) {
		r.Hosts = append(r.Hosts, w.of("", "*.", "{s}.", "{s...}.")+w.host())
	}
	if w.IntN(5) == 0 {
		r.Hosts = []string{w.of("*", "*:80")}
	}
	for _, m := range []string{"GET", "POST"} {
		if w.IntN(4) == 0 {
			r.Methods = append(r.Methods, m)
		}
	}
	r.Meta.Created = time.Unix(int64(w.IntN(3)), 0)
	return r
}

// check compares many answers of the table with those of the reference.
func check(t *testing.T, w world, tab *Table, routes []*config.Route) {
	t.Helper()
	for range 50 {
		method, host, path := w.of("GET", "HEAD", "POST", "PUT"), w.host(), w.path("a", "b", "c")+w.of("", "/")
		path = strings.ReplaceAll(path, "//", "/")
		want, admitted := reference(routes, method, host, path)
		m := tab.Find(method, host, path)
		name := ""
		if m.Entry != nil {
			name = m.Entry.Name
		}
		if name != want || m.Entry != nil && admitted != (m.Allow == "") {
			t.Errorf("%s %s%s: got %q (allow %q), want %q (admitted %v)", method, host, path, name, m.Allow, want, admitted)
			for _, r := range routes {
				t.Logf("%s +%d %v %v %s @%d", r.Name, r.Priority, r.Methods, r.Hosts, r.Path, r.Meta.Created.Unix())
			}
			t.FailNow()
		}
	}
}

// FuzzFind compares tables, also those made from earlier tables by adding,
// removing and moving routes, with the reference. R1 R2 R3 R4 R5
func FuzzFind(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := world{rand.New(rand.NewPCG(seed, 1))}
		made := map[*config.Route]*Entry{}
		var routes []*config.Route
		var tab *Table
		for step := range 6 {
			routes = slices.DeleteFunc(routes, func(*config.Route) bool { return w.IntN(4) == 0 })
			for n := range w.IntN(12) {
				routes = append(routes, w.route(100*step+n))
			}
			w.Shuffle(len(routes), func(i, j int) { routes[i], routes[j] = routes[j], routes[i] })
			var list []*Entry
			for _, r := range routes {
				if made[r] == nil {
					e, problems := New(r, nil)
					if len(problems) > 0 {
						t.Fatal(problems)
					}
					made[r] = e
				}
				list = append(list, made[r])
			}
			before := tab
			var conflicts []Conflict
			tab, conflicts = Build(before, list)
			check(t, w, tab, routes)
			if _, scratch := Build(nil, list); !slices.Equal(conflicts, scratch) {
				t.Fatalf("conflicts %+v, from scratch %+v", conflicts, scratch)
			}
		}
	})
}

func manyEntries(tb testing.TB, n int) []*Entry {
	var list []*Entry
	for i := range n {
		r := &config.Route{Name: fmt.Sprint("r", i)}
		switch i % 3 {
		case 0:
			r.Hosts, r.Path = []string{fmt.Sprintf("h%d.example.com", i)}, "/api"
		case 1:
			r.Path = fmt.Sprintf("/svc/%d", i)
		case 2:
			r.Path = fmt.Sprintf("/{a}/{b}/{c}/%d", i)
		}
		e, problems := New(r, nil)
		if len(problems) > 0 {
			tb.Fatal(problems)
		}
		list = append(list, e)
	}
	return list
}

func TestFindCostsNoMemory(t *testing.T) {
	tab, _ := Build(nil, manyEntries(t, 3000))
	for _, path := range []string{"/svc/1000/x", "/x/y/z/2", "/none"} {
		if n := testing.AllocsPerRun(100, func() { tab.Find("GET", "h3.example.com:8080", path) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func BenchmarkFind(b *testing.B) { // R4: flat from 1 to 10,000 routes
	for _, n := range []int{3, 300, 10_000} {
		tab, _ := Build(nil, manyEntries(b, n))
		for name, path := range map[string]string{"literal": "/svc/1/x", "placeholder": "/x/y/z/2"} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					tab.Find("GET", "www.example.com", path)
				}
			})
		}
	}
}

func BenchmarkAddOneTo10000(b *testing.B) { // D3
	list := manyEntries(b, 10_000)
	tab, _ := Build(nil, list[:9_999])
	for b.Loop() {
		Build(tab, list)
	}
}
