// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package board

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/wire"
)

var gw = types.NamespacedName{Namespace: "default", Name: "gateway"}

func wanted(checksum string, forms ...string) Wanted {
	w := Wanted{Checksum: checksum, Routes: map[string]string{}}
	for _, f := range forms {
		w.Routes[f[:1]] = f
	}
	return w
}

func ready(name, checksum string, problems ...config.Problem) Pod {
	return Pod{Name: name, UID: types.UID(name), Ready: true, Checksum: checksum, Problems: problems}
}

func TestARouteIsProgrammedOnlyWhenEveryReadyPodHasIt(t *testing.T) {
	t.Parallel()
	b := New()
	b.Update(gw, wanted("c1", "a1"), []Pod{ready("p", "old"), ready("q", "old")})
	b.Update(gw, wanted("c2", "a1", "b1"), []Pod{ready("p", "c2"), ready("q", "c1")})
	expect(t, b, "a1", true)
	expect(t, b, "b1", false)
	b.Update(gw, wanted("c2", "a1", "b1"), []Pod{ready("p", "c2"), ready("q", "c2")})
	expect(t, b, "b1", true)
}

func TestAChangedRouteIsInDoubtAndItsNeighboursAreNot(t *testing.T) {
	t.Parallel()
	b := New()
	b.Update(gw, wanted("c1", "a1", "b1"), []Pod{ready("p", "c1")})
	changed := b.Update(gw, wanted("c2", "a2", "b1"), []Pod{ready("p", "c1")})
	if !slices.Contains(changed, "a") || slices.Contains(changed, "b") {
		t.Errorf("changed = %v, want a alone", changed)
	}
	expect(t, b, "a2", false)
	expect(t, b, "b1", true)
}

// The pods are always one step behind, and yet each Route is confirmed.
func TestASteadyStreamOfChangesDelaysNoConfirmation(t *testing.T) {
	t.Parallel()
	b := New()
	b.Update(gw, wanted("c0", "x1"), []Pod{ready("p", "")})
	forms := []string{"x1"}
	for i := range 3 * history {
		forms = append(forms[:1:1], fmt.Sprintf("y%d", i))
		if i == history {
			forms[0] = "x2"
		}
		b.Update(gw, wanted(fmt.Sprintf("c%d", i+1), forms...), []Pod{ready("p", fmt.Sprintf("c%d", i))})
	}
	expect(t, b, "x2", true)
}

func TestAnAnswerThatNobodyAskedForConfirmsNothing(t *testing.T) {
	t.Parallel()
	b := New()
	b.Update(gw, wanted("c1", "a1"), []Pod{ready("p", "c1")})
	b.Update(gw, wanted("c2", "a2"), []Pod{ready("p", "elsewhere")})
	expect(t, b, "a2", false)
}

func TestAfterARestartTheBoardSaysThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	b := New()
	b.Update(gw, wanted("c1", "a1"), []Pod{ready("p", "older")})
	if live, ok := b.Route(gw, "a", "a1"); !ok || live.Known {
		t.Errorf("live = %+v, %v; want unknown", live, ok)
	}
	b.Update(gw, wanted("c1", "a1"), []Pod{ready("p", "c1"), ready("q", "older")})
	if live, ok := b.Route(gw, "a", "a1"); !ok || live.Known {
		t.Errorf("one of two pods has answered: live = %+v, %v; want unknown", live, ok)
	}
	b.Update(gw, wanted("c2", "a1", "b1"), []Pod{ready("p", "older")})
	if live, _ := b.Route(gw, "b", "b1"); !live.Known || live.Programmed {
		t.Errorf("a Route that came since then: %+v; want known and not programmed", live)
	}
}

func TestAPodThatJoinsTakesNothingBack(t *testing.T) {
	t.Parallel()
	b := New()
	b.Update(gw, wanted("c1", "a1"), []Pod{ready("p", "c1")})
	changed := b.Update(gw, wanted("c1", "a1"), []Pod{ready("p", "c1"), ready("q", "")})
	if live, _ := b.Route(gw, "a", "a1"); !live.Programmed || len(changed) != 0 {
		t.Errorf("live = %+v, changed = %v; want it programmed and nothing changed", live, changed)
	}
}

func TestWithoutAReadyPodNothingIsProgrammed(t *testing.T) {
	t.Parallel()
	b := New()
	b.Update(gw, wanted("c1", "a1"), []Pod{ready("p", "c1")})
	b.Update(gw, wanted("c1", "a1"), []Pod{{Name: "p", UID: "p", Checksum: "c1"}})
	expect(t, b, "a1", false)
	b.Update(gw, wanted("c1", "a1"), []Pod{ready("p", "c1")})
	expect(t, b, "a1", true)
}

func TestAProblemCountsOnceAndOnlyFromAPodThatHasTheForm(t *testing.T) {
	t.Parallel()
	problem := config.Problem{
		Object: config.ObjectRef{Kind: "Route", Name: "a"}, Reason: config.ReasonSecretNotFound, Message: "no such Secret",
	}
	b := New()
	b.Update(gw, wanted("c1", "a1"), []Pod{ready("p", "c1", problem), ready("q", "c1", problem)})
	if live, _ := b.Route(gw, "a", "a1"); len(live.Problems) != 1 {
		t.Errorf("problems = %v, want one", live.Problems)
	}
	b.Update(gw, wanted("c2", "a2"), []Pod{ready("p", "c1", problem), ready("q", "c1", problem)})
	if live, _ := b.Route(gw, "a", "a2"); len(live.Problems) != 0 {
		t.Errorf("the problem of the former form is told of the present one: %v", live.Problems)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	b := New()
	for i := range 10 * history {
		b.Update(gw, wanted(fmt.Sprintf("c%d", i), "a1"), nil)
	}
	g := b.gateways[gw]
	if len(g.numbers) > history+1 || len(g.order) > history+1 {
		t.Errorf("remembered %d checksums, %d in order; want at most %d", len(g.numbers), len(g.order), history+1)
	}
}

func TestAForgottenGatewayNamesItsRoutes(t *testing.T) {
	t.Parallel()
	b := New()
	b.Update(gw, wanted("c1", "a1", "b1"), nil)
	names := b.Forget(gw)
	slices.Sort(names)
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("names = %v", names)
	}
	if live, ok := b.Route(gw, "a", "a1"); !ok || live.Known {
		t.Errorf("live = %+v, %v; want nothing known of a Gateway that was forgotten", live, ok)
	}
}

// expect checks whether the Route whose name is the first letter of form is programmed.
func expect(t *testing.T, b *Board, form string, programmed bool) {
	t.Helper()
	live, ok := b.Route(gw, form[:1], form)
	if !ok {
		t.Fatalf("the board does not know %s", form)
	}
	if live.Programmed != programmed {
		t.Errorf("%s: programmed = %v, want %v (%+v)", form, live.Programmed, programmed, live)
	}
}

// Of what pods say of a host the newest counts, in whatever order they are asked.
func TestTheRoutesOfAHostKnowItsCertificate(t *testing.T) {
	t.Parallel()
	end := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	told := func(name string, list ...wire.Certificate) Pod {
		p := ready(name, "c1")
		p.Certificates = list
		return p
	}
	w := wanted("c1", "a1", "b1")
	w.Hosts = map[string][]string{"a": {"a.example.com", "other.example.com"}, "b": {"b.example.com"}}
	old := wire.Certificate{Host: "a.example.com", NotAfter: end, Error: "sorry"}
	renewed := wire.Certificate{Host: "a.example.com", NotAfter: end.AddDate(0, 1, 0)}
	b := New()
	for range 20 { // maps have no order
		b.Update(gw, w, []Pod{told("p", old), told("q", renewed), {Name: "r", UID: "r", Certificates: []wire.Certificate{{Host: "b.example.com"}}}})
		live, _ := b.Route(gw, "a", "a1")
		if len(live.Certificates) != 1 || live.Certificates[0] != renewed {
			t.Fatalf("a: %+v", live.Certificates)
		}
	}
	if live, _ := b.Route(gw, "b", "b1"); len(live.Certificates) != 0 {
		t.Errorf("what a pod says that is not ready counts: %+v", live.Certificates)
	}
	changed := b.Update(gw, w, []Pod{told("p", renewed), told("q", renewed, wire.Certificate{Host: "b.example.com"})})
	if !slices.Equal(changed, []string{"b"}) {
		t.Errorf("changed = %v", changed)
	}
}
