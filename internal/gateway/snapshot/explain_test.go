// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestAnExplanationNamesTheRoutesThatWereSetAside(t *testing.T) { // R6
	t.Parallel()
	b := newBench(t)
	b.backend["broken"] = func(*config.Route) (Backend, []config.Problem) {
		return Backend{}, []config.Problem{{Reason: config.ReasonInvalid, Field: "target", Message: "is no URL"}}
	}
	s := b.apply(&config.Config{Routes: []*config.Route{
		{Name: "broken", Path: "/broken"}, {Name: "fine", Path: "/fine"},
	}})
	if m, list := s.Explain("GET", "http", "h", "/broken/x"); m.Entry != nil || len(list) == 0 {
		t.Errorf("%v %v", m, list)
	}
	list := s.ExplainAside("GET", "http", "h", "/broken/x")
	if len(list) != 1 || list[0].Entry.Name != "broken" || !strings.Contains(list[0].Failed, "set aside: target: is no URL") {
		t.Errorf("%+v", list)
	}
}
