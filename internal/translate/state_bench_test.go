// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"testing"
)

// BenchmarkEditOfOneRoute is one edit, which must cost about the same whatever
// the number of routes.
func BenchmarkEditOfOneRoute(b *testing.B) {
	for _, n := range []int{10, 10000} {
		b.Run(fmt.Sprintf("of_%d", n), func(b *testing.B) {
			s := NewState(gatewayName, Paths{})
			s.SetMiddleware(middleware("m", `{}`))
			for i := range n {
				r := route(fmt.Sprint("r", i))
				r.Spec.Middlewares = []string{"m"}
				s.SetRoute(r)
			}
			s.Take()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := route(fmt.Sprint("r", i%n))
				r.Spec.Target, r.Spec.Middlewares = fmt.Sprint("http://", i), []string{"m"}
				s.SetRoute(r)
				if d := s.Take(); len(d.Routes) != 1 || len(s.Problems()) != 0 {
					b.Fatal("want one change and no problem")
				}
			}
		})
	}
}
