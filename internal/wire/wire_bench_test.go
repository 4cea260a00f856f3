// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// many gives a writer and a reader that are at one commit of n routes.
func many(b *testing.B, n int) (*Writer, *Reader) {
	b.Helper()
	dir := b.TempDir()
	w, err := NewWriter(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.Close() })
	var all []*config.Route
	for i := range n {
		all = append(all, testRoute(fmt.Sprintf("route-%05d", i), "http://backend"))
	}
	if _, err := w.Commit(Change{Set: routeObjects(all...), Complete: true}); err != nil {
		b.Fatal(err)
	}
	r := NewReader(dir)
	b.Cleanup(func() { _ = r.Close() })
	if _, _, err := r.Read(); err != nil {
		b.Fatal(err)
	}
	return w, r
}

// BenchmarkChangeOfOneRoute is the way of one edit over the disk, which must
// cost about the same whatever the number of routes.
func BenchmarkChangeOfOneRoute(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("of_%d", n), func(b *testing.B) {
			w, r := many(b, n)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				route := testRoute(fmt.Sprintf("route-%05d", i%n), fmt.Sprint("http://", i))
				if _, err := w.Commit(Change{Set: routeObjects(route), Complete: true}); err != nil {
					b.Fatal(err)
				}
				if _, changed, err := r.Read(); !changed || err != nil {
					b.Fatal(changed, err)
				}
			}
		})
	}
}

func BenchmarkFirstRead(b *testing.B) {
	w, _ := many(b, 10000)
	for b.Loop() {
		r := NewReader(w.dir)
		if _, _, err := r.Read(); err != nil {
			b.Fatal(err)
		}
		_ = r.Close()
	}
}
