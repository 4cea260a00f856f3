// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// component is a module, or the Go standard library, in the words of CycloneDX.
type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	URL        string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// bill is a bill of materials of CycloneDX 1.6.
type bill struct {
	Format       string      `json:"bomFormat"`
	Spec         string      `json:"specVersion"`
	Serial       string      `json:"serialNumber"`
	Version      int         `json:"version"`
	Metadata     metadata    `json:"metadata"`
	Components   []component `json:"components"`
	Dependencies []depends   `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type depends struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// materials lists what the programs of an image are built of, as they tell
// themselves: nothing is looked up, and equal programs give equal bytes.
func materials(o options, manifest string, entries []entry) ([]byte, error) {
	found := map[string]component{}
	for _, e := range entries {
		if e.source == "" {
			continue
		}
		info, err := buildinfo.ReadFile(e.source)
		if err != nil {
			continue // not a Go program
		}
		for _, c := range modules(info, o.version) {
			found[c.Ref] = c
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no file of the image is a Go program, so there is nothing to say of what it is built of")
	}
	image := component{Type: "container", Ref: "sha256:" + manifest, Name: strings.Split(o.tag, ":")[0], Version: o.version,
		Properties: []property{{"goma:architecture", o.arch}, {"goma:digest", "sha256:" + manifest}}}
	b := bill{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{image}}
	for _, c := range found {
		b.Components = append(b.Components, c)
	}
	slices.SortFunc(b.Components, func(a, c component) int { return strings.Compare(a.Ref, c.Ref) })
	d := depends{Ref: image.Ref}
	for _, c := range b.Components {
		d.On = append(d.On, c.Ref)
	}
	b.Dependencies = []depends{d}
	b.Serial = serial(image.Ref)
	out, err := json.MarshalIndent(b, "", "  ")
	return append(out, '\n'), err
}

// modules of a program: its own, the library of the Go version, and all others.
// version is that of the program, which its build does not know.
func modules(info *buildinfo.BuildInfo, version string) []component {
	out := []component{{
		Type: "library", Ref: "pkg:golang/std@" + info.GoVersion, Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go"), URL: "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go"),
	}}
	main := info.Main
	main.Version = version
	out = append(out, module("application", main))
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		out = append(out, module("library", *m))
	}
	return out
}

func module(kind string, m debug.Module) component {
	c := component{Type: kind, Name: m.Path, Version: m.Version, URL: "pkg:golang/" + m.Path + "@" + m.Version}
	c.Ref = c.URL
	if m.Sum != "" {
		c.Properties = []property{{"go:sum", m.Sum}}
	}
	return c
}

// serial is a UUID that depends on nothing but the text.
func serial(text string) string {
	sum := sha256.Sum256([]byte(text))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // version 8: made by the program's own rule
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
