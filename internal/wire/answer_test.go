// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestAnswerIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := ReadAnswer(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want fs.ErrNotExist before the first answer", err)
	}
	for g := range uint64(3) {
		want := Answer{
			Generation: g, Checksum: "sha256:1", Routes: 2, Middlewares: 1, AppliedAt: epoch, Version: "v1",
			Problems: []config.Problem{{Object: config.ObjectRef{Kind: KindRoute, Name: "a"}, Reason: config.ReasonInvalid, Message: "no"}},
		}
		if err := WriteAnswer(dir, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadAnswer(dir)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	}
	if files, err := os.ReadDir(AnswerDir(dir)); err != nil || len(files) != 1 {
		t.Errorf("files %v, %v, want the answer alone", files, err)
	}
}

func TestReportFitsIntoAnAnnotation(t *testing.T) {
	t.Parallel()
	a := Answer{Generation: 7, Checksum: "sha256:" + strings.Repeat("0", 64), Routes: 3, Middlewares: 2, Version: "v1", AppliedAt: epoch}
	for i := range 1000 {
		p := config.Problem{
			Object:   config.ObjectRef{Kind: KindRoute, Name: fmt.Sprintf("r%04d", 999-i), Source: Source},
			Reason:   config.ReasonInvalid,
			Message:  strings.Repeat("ü", 300),
			Severity: []config.Severity{config.SeverityNote, config.SeverityWarning, config.SeverityError}[i%3],
		}
		a.Problems = append(a.Problems, p)
	}
	r := NewReport(a)
	text := r.Encode()
	if len(text) > maxReportBytes || len(text) < maxReportBytes-2000 {
		t.Errorf("%d bytes, want nearly %d", len(text), maxReportBytes)
	}
	if !r.Truncated || r.Problems[0].Severity != config.SeverityError || r.Problems[0].Object.Name != "r0001" {
		t.Errorf("want the errors first and the cut told, got %v %v", r.Truncated, r.Problems[0])
	}
	back, err := ParseReport(text)
	if err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("read back as %+v, %v", back, err)
	}
	rand.Shuffle(len(a.Problems), func(i, j int) { a.Problems[i], a.Problems[j] = a.Problems[j], a.Problems[i] })
	a.AppliedAt = a.AppliedAt.AddDate(1, 0, 0)
	if NewReport(a).Encode() != text {
		t.Error("order or time changed the text: each would be a write to the API server")
	}
}

func TestSmallReportSaysEverything(t *testing.T) {
	t.Parallel()
	a := Answer{Generation: 1, Problems: []config.Problem{
		{Reason: config.ReasonIgnored, Severity: config.SeverityNote, Message: "note"},
		{Reason: config.ReasonInvalid, Message: "error"},
	}}
	r := NewReport(a)
	if r.Truncated || len(r.Problems) != 1 || r.Problems[0].Message != "error" {
		t.Errorf("got %+v, want the error without the note", r)
	}
	if _, err := ParseReport("{"); err == nil {
		t.Error("want an error for what is no report")
	}
}

func TestChecksumIsThatOfTheContentInAnyOrder(t *testing.T) { // T3
	t.Parallel()
	b := &config.Bundle{}
	for i := range 50 {
		b.Routes = append(b.Routes, testRoute(fmt.Sprint("r", i), "http://x"))
		b.Middlewares = append(b.Middlewares, testMiddleware(fmt.Sprint("m", i), `{}`))
	}
	want := Checksum(b)
	rand.Shuffle(len(b.Routes), func(i, j int) { b.Routes[i], b.Routes[j] = b.Routes[j], b.Routes[i] })
	if got := Checksum(b); got != want {
		t.Errorf("another order gave %s, want %s", got, want)
	}
	changes := map[string]func(r *config.Route){
		"target":    func(r *config.Route) { r.Target += "/" },
		"age":       func(r *config.Route) { r.Meta.Created = r.Meta.Created.AddDate(0, 0, 1) },
		"namespace": func(r *config.Route) { r.Meta.Ref.Namespace = "other" },
		"name":      func(r *config.Route) { r.Name += "x" },
	}
	for name, change := range changes {
		other := *b.Routes[0]
		change(&other)
		list := append([]*config.Route{&other}, b.Routes[1:]...)
		if Checksum(&config.Bundle{Routes: list, Middlewares: b.Middlewares}) == want {
			t.Errorf("a change of the %s did not change the checksum", name)
		}
	}
}

func TestSumTakesAwayWhatItAdded(t *testing.T) {
	t.Parallel()
	var s sum
	var hashes []hash
	for i := range 200 {
		h := hashOf([]byte{byte(i)})
		hashes = append(hashes, h)
		s.add(h)
	}
	rand.Shuffle(len(hashes), func(i, j int) { hashes[i], hashes[j] = hashes[j], hashes[i] })
	for _, h := range hashes {
		if s == (sum{}) {
			t.Fatal("empty too early")
		}
		s.remove(h)
	}
	if s != (sum{}) {
		t.Errorf("left with %s", s)
	}
}
