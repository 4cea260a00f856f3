// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestReaderHasNoViewBeforeTheFirstCompleteCommit(t *testing.T) { // K4, K5
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "later")
	r := openReader(t, dir)
	expectNothing := func() {
		t.Helper()
		if v, changed, err := r.Read(); v != nil || changed || err != nil {
			t.Fatalf("got %v, %v, %v, want nothing yet", v, changed, err)
		}
	}
	expectNothing()
	w := openWriter(t, dir)
	expectNothing()
	if _, err := w.Commit(Change{Set: routeObjects(testRoute("a", "http://a"))}); err != nil {
		t.Fatal(err)
	}
	expectNothing()
	commit(t, w, Change{Set: routeObjects(testRoute("b", "http://b"))})
	wantTargets(t, read(t, r), map[string]string{"a": "http://a", "b": "http://b"})
}

func TestEmptyCompleteCommitIsAView(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, r := openWriter(t, dir), openReader(t, dir)
	if g := commit(t, w, Change{}); g != 1 {
		t.Fatalf("generation %d, want 1: a Gateway without routes gets ready too", g)
	}
	v := read(t, r)
	wantTargets(t, v, map[string]string{})
	if v.Checksum != Checksum(&config.Bundle{}) {
		t.Errorf("checksum %s", v.Checksum)
	}
}

func TestReaderKeepsToTheLastCompleteCommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, r := openWriter(t, dir), openReader(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://1"))})
	wantTargets(t, read(t, r), map[string]string{"a": "http://1"})
	for i := range 3 {
		if _, err := w.Commit(Change{Set: routeObjects(testRoute("a", fmt.Sprintf("http://part%d", i)))}); err != nil {
			t.Fatal(err)
		}
	}
	wantTargets(t, read(t, r), map[string]string{"a": "http://1"})
	wantTargets(t, read(t, openReader(t, dir)), map[string]string{"a": "http://1"})

	again := openWriter(t, dir)
	commit(t, again, Change{Set: routeObjects(testRoute("a", "http://1")), Whole: true})
	wantTargets(t, read(t, r), map[string]string{"a": "http://1"})
	commit(t, again, Change{Set: routeObjects(testRoute("a", "http://2"))})
	wantTargets(t, read(t, r), map[string]string{"a": "http://2"})
}

func TestUnchangedObjectsKeepTheirPointers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, r := openWriter(t, dir), openReader(t, dir)
	a, b := testRoute("a", "http://a"), testRoute("b", "http://b")
	m := Object{Middleware: testMiddleware("m", `{"x":1}`)}
	commit(t, w, Change{Set: append(routeObjects(a, b), m)})
	before := read(t, r)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://new"))})
	after := read(t, r)

	if after.Bundle.Routes[1] != before.Bundle.Routes[1] || after.Bundle.Middlewares[0] != before.Bundle.Middlewares[0] {
		t.Error("unchanged objects have other pointers")
	}
	if after.Bundle.Routes[0] == before.Bundle.Routes[0] || before.Bundle.Routes[0].Target != "http://a" {
		t.Error("the earlier view was changed")
	}
	if v, changed, err := r.Read(); v != after || changed || err != nil {
		t.Error("a Read without a commit gave another view")
	}
}

func TestViewHoldsExactlyWhatWasCommitted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, r := openWriter(t, dir), openReader(t, dir)
	yes, no := true, false
	full := testRoute("full", "")
	full.Rewrite, full.Methods, full.Hosts = "/x\n\"{{", []string{"GET"}, []string{"*.example.com"} // T6
	full.Enabled, full.Priority, full.DisableMetrics = &no, -3, true
	full.Middlewares = []string{"m", "n"}
	full.Backends = []config.Backend{{
		Endpoint: "http://b", Weight: 3, Exclusive: true, Priority: 2,
		Match: []config.BackendMatch{{Source: "header", Name: "X", Operator: "in", Value: "a,b<&>"}},
	}}
	full.HealthCheck = &config.HealthCheck{Path: "/h", Interval: config.Duration(9e9), Timeout: config.Duration(1), HealthyStatuses: []int{204}}
	full.Security = &config.RouteSecurity{ForwardHostHeaders: &yes, EnableExploitProtection: true, TLS: &config.BackendTLS{
		InsecureSkipVerify: true, RootCAs: "/ca", ClientCert: "/crt", ClientKey: "/key",
	}}
	full.TLS = &config.RouteTLS{Provider: "p", Certificate: &config.Certificate{Cert: "/c", Key: "/k"}}
	full.Maintenance = &config.Maintenance{Enabled: true, StatusCode: 418, Message: "tea"}
	m := testMiddleware("m", `{"n":1.50,"s":"<${X}>","big":12345678901234567890}`)
	m.Paths = []string{"/a", "/b/*"}

	commit(t, w, Change{Set: []Object{{Route: full}, {Middleware: m}}})
	v := read(t, r)
	if got := v.Bundle.Routes[0]; !reflect.DeepEqual(got, full) {
		t.Errorf("route\n got %+v\nwant %+v", got, full)
	}
	if got := v.Bundle.Middlewares[0]; !reflect.DeepEqual(got, m) {
		t.Errorf("middleware\n got %+v\nwant %+v", got, m)
	}
	want := Checksum(&config.Bundle{Routes: []*config.Route{full}, Middlewares: []*config.Middleware{m}})
	if v.Checksum != want || w.Checksum() != want || Checksum(v.Bundle) != want {
		t.Errorf("checksums differ: view %s, writer %s, bundle %s, want %s", v.Checksum, w.Checksum(), Checksum(v.Bundle), want)
	}
}

func TestRoutesAreListedByPriorityThenAgeThenName(t *testing.T) { // T3, R2
	t.Parallel()
	dir := t.TempDir()
	w, r := openWriter(t, dir), openReader(t, dir)
	make := func(name string, priority int, age int) *config.Route {
		x := testRoute(name, "http://x")
		x.Priority, x.Meta.Created = priority, epoch.AddDate(0, 0, -age)
		return x
	}
	want := []*config.Route{
		make("z", 9, 0), make("old", 1, 5), make("a", 1, 1), make("b", 1, 1), make("none", 0, 9), make("low", -1, 9),
	}
	for _, i := range []int{3, 0, 5, 2, 4, 1} {
		commit(t, w, Change{Set: routeObjects(want[i])})
		read(t, r)
	}
	for _, reader := range []*Reader{r, openReader(t, dir)} {
		got := read(t, reader).Bundle.Routes
		names := func(list []*config.Route) (n []string) {
			for _, x := range list {
				n = append(n, x.Name)
			}
			return n
		}
		if !slices.Equal(names(got), names(want)) {
			t.Errorf("got %v, want %v", names(got), names(want))
		}
	}
}

func TestDamagedObjectHurtsOnlyItself(t *testing.T) {
	t.Parallel()
	damages := map[string]func(path string) error{
		"removed": os.Remove,
		"cut":     func(path string) error { return os.Truncate(path, 20) },
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"forged": func(path string) error {
			return os.WriteFile(path, []byte(`{"kind":"Route","route":{"name":"b"}}`), 0o600)
		},
		"a symlink": func(path string) error {
			return rename(path, func(p string, _ os.FileMode) error { return os.Symlink("/dev/null", p) })
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w, live := openWriter(t, dir), openReader(t, dir)
			commit(t, w, Change{Set: routeObjects(testRoute("a", "http://a"), testRoute("b", "http://b"))})
			read(t, live)
			next := testRoute("b", "http://new")
			commit(t, w, Change{Set: routeObjects(next)})
			data, err := encode(Object{Route: next})
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(w.objectPath(fileName(Object{Route: next}.Key(), hashOf(data)))); err != nil {
				t.Fatal(err)
			}

			v := read(t, live)
			wantTargets(t, v, map[string]string{"a": "http://a", "b": "http://b"})
			expectTrouble(t, v, "b")
			v = read(t, openReader(t, dir))
			wantTargets(t, v, map[string]string{"a": "http://a"})
			expectTrouble(t, v, "b")
			if v.Checksum != w.Checksum() {
				t.Error("the checksum must say that this is the newest there is")
			}

			again := openWriter(t, dir)
			commit(t, again, Change{Set: routeObjects(testRoute("a", "http://a"), next), Whole: true})
			v = read(t, live)
			wantTargets(t, v, map[string]string{"a": "http://a", "b": "http://new"})
			if len(v.Problems) > 0 {
				t.Errorf("still %v after the writer has restarted", v.Problems)
			}
		})
	}
}

func rename(path string, make func(string, os.FileMode) error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return make(path, 0o700)
}

func expectTrouble(t *testing.T, v *View, route string) {
	t.Helper()
	if len(v.Problems) != 1 || v.Problems[0].Object.Name != route || v.Problems[0].Reason != config.ReasonUnreadable {
		t.Errorf("problems %v, want one about route %s", v.Problems, route)
	}
}

func TestDamagedLineLeavesTheCommitsBeforeIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://1"))})
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://2"))})
	index := filepath.Join(dir, indexName)
	data, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-10] ^= 1
	if err := os.WriteFile(index, data, 0o600); err != nil {
		t.Fatal(err)
	}
	r := openReader(t, dir)
	v := read(t, r)
	wantTargets(t, v, map[string]string{"a": "http://1"})
	if len(v.Problems) != 1 || v.Problems[0].Object.Kind != "File" {
		t.Errorf("problems %v, want one about the index", v.Problems)
	}
	if _, changed, err := r.Read(); changed || err != nil {
		t.Errorf("the same damage is told once: %v, %v", changed, err)
	}
	again := openWriter(t, dir)
	commit(t, again, Change{Set: routeObjects(testRoute("a", "http://1")), Whole: true})
	v = read(t, r)
	wantTargets(t, v, map[string]string{"a": "http://1"})
	if len(v.Problems) != 0 {
		t.Errorf("still %v after the writer has restarted", v.Problems)
	}
}

func TestVanishedDirectoryKeepsTheLastGoodView(t *testing.T) { // S2
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bundle")
	w, r := openWriter(t, dir), openReader(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://a"))})
	good := read(t, r)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	v, changed, err := r.Read()
	if v != good || changed || err == nil {
		t.Errorf("got %v, %v, %v, want the good view and an error", v, changed, err)
	}
	w = openWriter(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("b", "http://b"))})
	wantTargets(t, read(t, r), map[string]string{"b": "http://b"})
}

func TestIndexOfAnotherFormatIsRefused(t *testing.T) { // E3
	t.Parallel()
	dir := t.TempDir()
	line, err := batch{Format: format + 1, Generation: 9, Complete: true}.line()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, indexName), line, 0o600); err != nil {
		t.Fatal(err)
	}
	r := openReader(t, dir)
	if v, _, err := r.Read(); v != nil || err == nil || !strings.Contains(err.Error(), "versions") {
		t.Errorf("got %v, %v, want an error about versions", v, err)
	}
	w := openWriter(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://a"))})
	wantTargets(t, read(t, r), map[string]string{"a": "http://a"})
}

func TestKindsOfANewerWriterAreLeftAlone(t *testing.T) { // E3
	t.Parallel()
	dir := t.TempDir()
	w, r := openWriter(t, dir), openReader(t, dir)
	commit(t, w, Change{Set: routeObjects(testRoute("a", "http://a"))})
	line, err := batch{Generation: 2, Complete: true, Set: []entry{{Key: Key{Kind: "../Stream", Name: "s"}}}}.line()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.index.Write(line); err != nil {
		t.Fatal(err)
	}
	v := read(t, r)
	wantTargets(t, v, map[string]string{"a": "http://a"})
	if v.Generation != 2 || len(v.Problems) != 0 {
		t.Errorf("generation %d with %v, want 2 without problems", v.Generation, v.Problems)
	}
}

func TestReaderDecodesWithTheParserItIsGiven(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := openWriter(t, dir)
	commit(t, w, Change{Set: append(routeObjects(testRoute("good", "http://x"), testRoute("bad", "http://x")),
		Object{Middleware: testMiddleware("m", `{}`)})})
	var calls int
	r := openReader(t, dir).WithParser(func(_ string, document []byte) (*config.Bundle, []config.Problem, error) {
		calls++
		var b config.Bundle
		if err := json.Unmarshal(document, &b); err != nil {
			return nil, nil, err
		}
		if len(b.Routes) == 1 && b.Routes[0].Name == "bad" {
			return &config.Bundle{}, []config.Problem{{Field: "path", Reason: config.ReasonInvalid, Message: "no"}}, nil
		}
		return &b, nil, nil
	})
	v := read(t, r)
	wantTargets(t, v, map[string]string{"good": "http://x"})
	want := config.Problem{
		Object: config.ObjectRef{Kind: KindRoute, Namespace: "shop", Name: "bad", Source: Source},
		Field:  "path", Reason: config.ReasonInvalid, Message: "no",
	}
	if len(v.Problems) != 1 || v.Problems[0] != want || len(v.Bundle.Middlewares) != 1 {
		t.Errorf("problems %v, want %v", v.Problems, want)
	}
	commit(t, w, Change{Set: routeObjects(testRoute("good", "http://y"))})
	read(t, r)
	if calls != 4 {
		t.Errorf("the parser ran %d times, want once for each version of an object", calls)
	}
}
