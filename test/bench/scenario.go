// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"path"
	"strings"
)

// Method says how a scenario is measured.
type Method string

// The methods.
const (
	methodLoad     Method = "load"     // CPU per request under full load
	methodLatency  Method = "latency"  // p99 at a share of saturation
	methodReload   Method = "reload"   // what clients see while routes are added
	methodMemory   Method = "memory"   // RSS idle, with many routes, under load
	methodSyscalls Method = "syscalls" // system calls per request
)

// Scenario is one load on one configuration.
type Scenario struct {
	Name  string `json:"name"`
	About string `json:"about"`
	// Method is how it is measured.
	Method Method `json:"method"`
	// Conns are the client connections.
	Conns int `json:"connections"`
	// Workers are the threads a proxy gets. One is pinned to a CPU of its own; more
	// share all CPUs with the load.
	Workers int `json:"workers"`
	// Kind is what routes differ in: any (there is one), host or path.
	Kind   string `json:"kind"`
	Routes int    `json:"routes"`
	// Client is wrk, or h2load with eight streams for each connection.
	Client string `json:"client"`
	TLS    bool   `json:"tls,omitempty"`
	Path   string `json:"path"`
	// Body is the size of a POST; 0 is a GET.
	Body int `json:"body,omitempty"`
	// Chain puts five middlewares and a JSON access log in the way.
	Chain bool `json:"chain,omitempty"`
	// Limit is the ratio to nginx that the project wants to stay below; 0 is none.
	Limit float64 `json:"limit,omitempty"`
}

// scenarios are all there are, in the order in which they run.
var scenarios = []Scenario{
	{Name: "get1k", About: "1 KiB GET, 64 connections", Limit: 1.1},
	{Name: "get1k-512", About: "1 KiB GET, 512 connections", Conns: 512, Limit: 1.1},
	{Name: "get1k-2w", About: "1 KiB GET, two unpinned workers", Workers: 2, Limit: 1.25},
	{Name: "chain", About: "1 KiB GET through five middlewares, JSON access log", Chain: true, Limit: 1.5},
	{Name: "tls1k", About: "1 KiB GET over TLS, keep-alive", TLS: true, Limit: 1.1},
	{Name: "post16k", About: "16 KiB POST", Body: 16 << 10, Limit: 1.15},
	{Name: "get64k", About: "64 KiB response", Path: "/64k", Limit: 1.25},
	{Name: "get1m", About: "1 MiB response", Path: "/1m", Limit: 0.6},
	{Name: "h2-1k", About: "1 KiB GET over HTTP/2 and TLS, eight streams a connection", TLS: true, Client: "h2load", Limit: 2.0},
	{Name: "hosts10k", About: "1 KiB GET over 10,000 hosts", Kind: "host", Routes: 10000, Limit: 1.0},
	{Name: "paths10k", About: "1 KiB GET over 10,000 path prefixes", Kind: "path", Routes: 10000, Limit: 1.0},
	{Name: "p99", About: "p99 at 70 % of each one's own saturation", Method: methodLatency, Limit: 1.2},
	{Name: "p99-same", About: "p99 at 70 % of nginx's saturation, the same rate for all", Method: methodLatency, Limit: 1.2},
	{Name: "reload", About: "routes added to 1,000 hosts at 2,000 req/s", Method: methodReload, Kind: "host", Routes: 1000, Conns: 32},
	{Name: "memory", About: "resident memory", Method: methodMemory, Conns: 512},
	{Name: "syscalls", About: "system calls per request, 1 KiB GET, 64 connections", Method: methodSyscalls},
}

// withDefaults completes a scenario.
func (s Scenario) withDefaults() Scenario {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&s.Kind, "any")
	set(&s.Client, "wrk")
	set(&s.Path, "/")
	if s.Method == "" {
		s.Method = methodLoad
	}
	if s.Conns == 0 {
		s.Conns = 64
	}
	if s.Workers == 0 {
		s.Workers = 1
	}
	if s.Routes == 0 {
		s.Routes = 1
	}
	return s
}

// choose gives the scenarios whose names match one of the patterns, which are
// separated by commas: get1k, get*, all.
func choose(patterns string) ([]Scenario, error) {
	var list []Scenario
	used := map[string]bool{}
	for _, s := range scenarios {
		for p := range strings.SplitSeq(patterns, ",") {
			matched, err := path.Match(p, s.Name)
			if err != nil {
				return nil, fmt.Errorf("scenario %q: %w", p, err)
			}
			if matched || p == "all" {
				used[p] = true
				list = append(list, s.withDefaults())
				break
			}
		}
	}
	for p := range strings.SplitSeq(patterns, ",") {
		if !used[p] && !covered(p, list) {
			return nil, fmt.Errorf("no scenario is called %q; there are %s", p, names())
		}
	}
	return list, nil
}

// covered tells whether a pattern names something that another one chose before.
func covered(pattern string, list []Scenario) bool {
	for _, s := range list {
		if matched, _ := path.Match(pattern, s.Name); matched {
			return true
		}
	}
	return false
}

func names() string {
	var list []string
	for _, s := range scenarios {
		list = append(list, s.Name)
	}
	return strings.Join(list, ", ")
}

// Route is one route of a target's configuration.
type Route struct {
	Name string
	// Host is set when routes differ in it.
	Host string
	// Prefix is / or, when routes differ in it, /svcNNNNN/.
	Prefix string
}

// makeRoutes gives n routes of a kind.
func makeRoutes(kind string, n int) []Route {
	if kind == "any" {
		return []Route{{Name: "all", Prefix: "/"}}
	}
	list := make([]Route, n)
	for i := range list {
		list[i] = Route{Name: fmt.Sprintf("r%05d", i), Prefix: "/"}
		if kind == "host" {
			list[i].Host = fmt.Sprintf("h%05d.example.test", i)
		} else {
			list[i].Prefix = fmt.Sprintf("/svc%05d/", i)
		}
	}
	return list
}

// host is what a client puts into its Host header.
func (r Route) host() string {
	if r.Host == "" {
		return "localhost"
	}
	return r.Host
}
