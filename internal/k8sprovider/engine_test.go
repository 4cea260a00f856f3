// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestNothingIsWrittenBeforeEverythingIsListed(t *testing.T) { // K4
	t.Parallel()
	bubble(t, func(r *rig) {
		r.routes(change{whole: true, set: []metav1.Object{route("a", "http://a")}})
		r.middlewares(change{whole: true})
		time.Sleep(time.Hour)
		synctest.Wait()
		if r.view() != nil || r.engine.ready.Load() {
			t.Fatal("committed without the Gateway")
		}
		r.gateway(change{whole: true})
		r.wantRoutes(map[string]string{"a": "http://a"})
		if !r.engine.ready.Load() {
			t.Error("not ready after the first commit")
		}
	})
}

func TestRestartKeepsTheFilesUntilEverythingIsListed(t *testing.T) { // K4
	t.Parallel()
	out, certs := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, out, certs)
		r.list(route("a", "http://a"), route("b", "http://b"))
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, out, certs)
		time.Sleep(time.Hour) // the API server is away
		r.routes(change{whole: true, set: []metav1.Object{route("b", "http://b"), route("c", "http://c")}})
		r.wantRoutes(map[string]string{"a": "http://a", "b": "http://b"})
		before := r.view().Bundle.Routes[1]
		r.middlewares(change{whole: true})
		r.gateway(change{whole: true})
		r.wantRoutes(map[string]string{"b": "http://b", "c": "http://c"})
		if r.view().Bundle.Routes[0] != before {
			t.Error("an unchanged route was replaced")
		}
	})
}

func TestFirstEventIsWrittenAtOnceAndABurstTogether(t *testing.T) { // K1
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list()
		time.Sleep(time.Minute)
		before := r.generation()
		r.routes(some(route("r0", "http://x")))
		if r.generation() != before+1 {
			t.Fatal("the first event waited")
		}
		for i := range 500 {
			r.routes(some(route(fmt.Sprint("r", i), "http://x")))
		}
		if r.generation() != before+1 {
			t.Fatal("the burst was not taken together")
		}
		time.Sleep(DefaultDebounce)
		if r.generation() != before+2 || len(r.view().Bundle.Routes) != 500 {
			t.Errorf("generation %d with %d routes, want all in one more commit", r.generation(), len(r.view().Bundle.Routes))
		}
	})
}

func TestSteadyEventsAreDelivered(t *testing.T) { // K1
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list()
		const every = 10 * time.Millisecond
		last := 0
		for i := range int(time.Minute / every) {
			r.routes(some(route("busy", fmt.Sprint(i))))
			time.Sleep(every)
			synctest.Wait()
			if v := r.view(); v != nil && len(v.Bundle.Routes) == 1 {
				if _, err := fmt.Sscan(v.Bundle.Routes[0].Target, &last); err != nil {
					t.Fatal(err)
				}
			}
			if behind := time.Duration(i-last) * every; behind > DefaultDebounce {
				t.Fatalf("after %d events the newest that was delivered is %d", i, last)
			}
		}
		if g := r.generation(); g > uint64(time.Minute/DefaultDebounce)+5 {
			t.Errorf("%d commits in a minute", g)
		}
	})
}

func TestWhatChangesNothingWritesNothing(t *testing.T) { // K2
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list(route("a", "http://a"))
		time.Sleep(time.Minute)
		before, told := r.generation(), r.told
		touched := route("a", "http://a")
		touched.Status.Ready, touched.ResourceVersion, touched.Annotations = true, "9", map[string]string{"x": "y"}
		r.routes(some(touched))
		bystander := route("b", "http://b")
		bystander.Spec.Gateways = []string{"other"}
		r.routes(some(bystander))
		r.routes(change{gone: []string{"b", "never"}})
		r.middlewares(some(middleware("unused", `{}`)))
		r.routes(change{whole: true, set: []metav1.Object{touched, bystander}})
		r.gateway(some(monitoringGateway()))
		time.Sleep(time.Minute)
		if r.generation() != before {
			t.Errorf("generation %d, want it to stay %d", r.generation(), before)
		}
		if r.told > told+1 { // once for the unused Middleware
			t.Errorf("the problems were told %d times", r.told-told)
		}
	})
}

func TestMiddlewaresOfRoutesAndOfMonitoringAreDelivered(t *testing.T) { // T2
	t.Parallel()
	bubble(t, func(r *rig) {
		a := route("a", "http://a")
		a.Spec.Middlewares = []string{"m"}
		r.routes(change{whole: true, set: []metav1.Object{a}})
		r.middlewares(change{whole: true, set: []metav1.Object{middleware("m", `{}`), middleware("guard", `{}`), middleware("x", `{}`)}})
		r.gateway(change{whole: true, set: []metav1.Object{monitoringGateway("guard", "missing")}})
		names := func() (list []string) {
			for _, m := range r.view().Bundle.Middlewares {
				list = append(list, m.Name)
			}
			return list
		}
		if got := names(); !slices.Equal(got, []string{"guard", "m"}) {
			t.Fatalf("got %v", got)
		}
		r.wantProblem("gateway", config.ReasonMiddlewareNotFound, config.SeverityError)
		time.Sleep(time.Second)
		r.gateway(some(monitoringGateway("x")))
		r.middlewares(change{gone: []string{"m"}})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := names(); !slices.Equal(got, []string{"x"}) {
			t.Errorf("got %v", got)
		}
		r.wantProblem("a", config.ReasonMiddlewareNotFound, config.SeverityError)
		r.gateway(change{gone: []string{"gateway"}})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := names(); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
}

func TestFailedCommitIsTriedAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(r *rig) {
		r.list(route("a", "http://1"))
		r.wantRoutes(map[string]string{"a": "http://1"})
		time.Sleep(time.Second)
		objects, aside := filepath.Join(r.out, "objects"), filepath.Join(r.out, "aside")
		if err := os.Rename(objects, aside); err != nil {
			t.Fatal(err)
		}
		r.routes(some(route("a", "http://2")))
		time.Sleep(10 * commitRetry)
		r.wantRoutes(map[string]string{"a": "http://1"})
		if err := os.Rename(aside, objects); err != nil {
			t.Fatal(err)
		}
		time.Sleep(commitRetry)
		synctest.Wait()
		r.wantRoutes(map[string]string{"a": "http://2"})
		if !strings.Contains(r.log.String(), "bundle not written") {
			t.Error("the failure was not logged")
		}
	})
}
