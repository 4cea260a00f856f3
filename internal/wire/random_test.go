// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// TestRandomCommitsAreReadAsTheyWereMade compares a reader that follows, a
// reader that begins, and a plain map, after each of many random commits. Now
// and then the writer is opened anew.
func TestRandomCommitsAreReadAsTheyWereMade(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	dir := t.TempDir()
	w, r := openWriter(t, dir), openReader(t, dir)
	routes, middlewares := map[string]*config.Route{}, map[string]*config.Middleware{}
	for step := range 600 {
		var c Change
		for range random.IntN(4) {
			name := fmt.Sprint("x", random.IntN(12))
			switch random.IntN(4) {
			case 0, 1:
				x := testRoute(name, fmt.Sprint(random.IntN(2)))
				x.Priority, x.Meta.Created = random.IntN(2), epoch.AddDate(0, 0, random.IntN(2))
				c.Set = append(c.Set, Object{Route: x})
				routes[name] = x
			case 2:
				m := testMiddleware(name, fmt.Sprintf(`{"n":%d}`, random.IntN(3)))
				c.Set = append(c.Set, Object{Middleware: m})
				middlewares[name] = m
			case 3:
				if !slices.ContainsFunc(c.Set, func(o Object) bool { return o.Key() == Key{KindRoute, name} }) {
					c.Delete = append(c.Delete, Key{KindRoute, name})
					delete(routes, name)
				}
			}
		}
		if random.IntN(20) == 0 {
			w = openWriter(t, dir)
		}
		commit(t, w, c)
		want := &config.Bundle{
			Routes:      slices.SortedFunc(maps.Values(routes), config.CompareRoutes),
			Middlewares: slices.SortedFunc(maps.Values(middlewares), config.CompareMiddlewares),
		}
		for _, reader := range []*Reader{r, openReader(t, dir)} {
			v := read(t, reader)
			if len(v.Bundle.Routes) != len(want.Routes) || len(want.Routes) > 0 && !reflect.DeepEqual(v.Bundle.Routes, want.Routes) {
				t.Fatalf("step %d: routes differ", step)
			}
			if len(v.Bundle.Middlewares) != len(want.Middlewares) || len(want.Middlewares) > 0 && !reflect.DeepEqual(v.Bundle.Middlewares, want.Middlewares) {
				t.Fatalf("step %d: middlewares differ", step)
			}
			if sum := Checksum(want); v.Checksum != sum || w.Checksum() != sum {
				t.Fatalf("step %d: checksums %s and %s, want %s", step, v.Checksum, w.Checksum(), sum)
			}
		}
	}
}
