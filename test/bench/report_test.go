// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A noisy spell makes a round slow for all; what is compared stays the same.
func TestTheRatioIsTheMedianOfTheRoundsOwnRatios(t *testing.T) {
	t.Parallel()
	s := Scenario{Name: "get1k"}.withDefaults()
	o := newOutcome(&s)
	for _, noise := range []float64{1, 5, 1.1} {
		o.Samples[baseline] = append(o.Samples[baseline], Sample{CPU: 10 * noise})
		o.Samples["goma"] = append(o.Samples["goma"], Sample{CPU: 15 * noise})
	}
	o.Samples["goma"] = append(o.Samples["goma"], Sample{CPU: 1000}) // a round that the baseline has not
	if mid, low, high := o.ratio("goma"); mid != 1.5 || low != 1.5 || high != 1.5 {
		t.Errorf("%v, %v to %v", mid, low, high)
	}
	if got := o.times("caddy"); got != "–" {
		t.Errorf("a target that is not there is %s", got)
	}
}

func TestTheMiddleOfAnEvenNumberIsBetweenTwo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := middle(c.of); got != c.want {
			t.Errorf("of %v: %v", c.of, got)
		}
	}
}

func TestPatternsChooseScenarios(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"get1k": "get1k", "get1k*": "get1k get1k-512 get1k-2w", "h2-1k,get1k": "get1k h2-1k",
		"get1k,get1?": "get1k get1m", // a pattern that adds what another has not
	} {
		list, err := choose(pattern)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range list {
			got = append(got, s.Name)
		}
		for name := range strings.FieldsSeq(want) {
			if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+name+" ") {
				t.Errorf("%s chooses %v, without %s", pattern, got, name)
			}
		}
	}
	if list, err := choose("all"); err != nil || len(list) != len(scenarios) {
		t.Errorf("all: %d of %d, %v", len(list), len(scenarios), err)
	}
	for _, pattern := range []string{"nothing", "get1k,nothing", "["} {
		if _, err := choose(pattern); err == nil {
			t.Errorf("%q chooses something", pattern)
		}
	}
}

func TestTheDocumentationIsWrittenBetweenItsMarkers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "performance.md")
	r := &Results{Began: time.Now(), Rounds: 3, Seconds: 4, Machine: Machine{CPU: "a CPU"}}
	if err := os.WriteFile(file, []byte("# No markers\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.save("", file); err == nil {
		t.Error("a file without markers is overwritten")
	}
	if err := os.WriteFile(file, []byte("# Before\n"+beginMark+"\nold figures\n"+endMark+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it can be written again
		if err := r.save("", file); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if !strings.HasPrefix(got, "# Before\n"+beginMark) || !strings.HasSuffix(got, endMark+"\nafter\n") ||
		strings.Contains(got, "old figures") || !strings.Contains(got, "a CPU") {
		t.Errorf("it says:\n%s", got)
	}
}
