// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"testing"
)

func route(name string) *Route { return &Route{Name: name, Path: "/" + name, Target: "http://b"} }

func TestOneInvalidRouteOfAHundredHoldsBackNoOther(t *testing.T) { // C4
	t.Parallel()
	b := &Bundle{}
	for i := range 100 {
		b.Routes = append(b.Routes, route(fmt.Sprintf("r%d", i)))
	}
	b.Routes[42].Target = "nowhere"
	c, problems := Merge(&File{}, []Layer{{SourceFile, b}})
	if len(c.Routes) != 99 || len(problems) != 1 {
		t.Fatalf("%d routes serve, problems %v", len(c.Routes), problems)
	}
	if got := problems[0].Object; got != (ObjectRef{Kind: "Route", Name: "r42", Source: "file"}) {
		t.Fatalf("the problem is about %+v", got)
	}
}

func TestOfTwoObjectsWithOneNameTheSourceOfPrecedenceServes(t *testing.T) { // C4
	t.Parallel()
	fromGit, fromHTTP := route("same"), route("same")
	fromGit.Path, fromHTTP.Path = "/git", "/http"
	c, problems := Merge(&File{}, []Layer{
		{SourceGit, &Bundle{Routes: []*Route{fromGit}}},
		{SourceHTTP, &Bundle{Routes: []*Route{fromHTTP}}},
	})
	if len(c.Routes) != 1 || c.Routes[0] != fromHTTP {
		t.Fatalf("served: %+v", c.Routes)
	}
	if len(problems) != 1 || problems[0].Reason != ReasonConflicted || problems[0].Object.Source != "git" {
		t.Fatalf("got %v", problems)
	}
}

func TestAnInvalidObjectDoesNotTakeItsName(t *testing.T) {
	t.Parallel()
	broken, good := route("same"), route("same")
	broken.Path = ""
	c, problems := Merge(&File{}, []Layer{
		{SourceFile, &Bundle{Routes: []*Route{broken}}},
		{SourceGit, &Bundle{Routes: []*Route{good}}},
	})
	if len(c.Routes) != 1 || c.Routes[0] != good || len(problems) != 1 {
		t.Fatalf("served %+v, problems %v", c.Routes, problems)
	}
}

func TestStaticObjectsComeFirstAndKeepTheirPointers(t *testing.T) {
	t.Parallel()
	f := &File{Gateway: Gateway{Routes: []Route{*route("static")}}, Middlewares: []Middleware{{Name: "m", Type: "basic"}}}
	fromFile := route("file")
	layers := []Layer{{SourceFile, &Bundle{Routes: []*Route{fromFile}}}}
	first, _ := Merge(f, layers)
	second, problems := Merge(f, layers)
	if len(problems) != 0 || len(second.Routes) != 2 || second.Routes[0].Name != "static" || second.Routes[1] != fromFile {
		t.Fatalf("got %+v, problems %v", second.Routes, problems)
	}
	if first.Routes[0] != second.Routes[0] || first.Middlewares[0] != second.Middlewares[0] {
		t.Fatal("an unchanged object has another pointer after the second merge") // D3
	}
}

func TestASourceWithoutABundleIsNoLayer(t *testing.T) {
	t.Parallel()
	c, problems := Merge(&File{}, []Layer{{Source: SourceHTTP}})
	if len(c.Routes) != 0 || len(problems) != 0 {
		t.Fatalf("got %+v %v", c, problems)
	}
}
