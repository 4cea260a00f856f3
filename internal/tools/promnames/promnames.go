// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package promnames finds the metrics that alert rules and dashboards ask for, so
// that tests can compare them with the metrics that a program has.
package promnames

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/deploy/observability"
)

// What the names of a program's metrics begin with.
const (
	Gateway  = "gateway_"
	Sidecar  = "goma_k8s_provider_"
	Operator = "goma_operator_ controller_runtime_ leader_election_ workqueue_"
)

// Missing gives the names that begin with one of the prefixes, but are not in
// what a program answers at /metrics.
func Missing(names []string, prefixes, metrics string) []string {
	var out []string
	for _, name := range names {
		ours := slices.ContainsFunc(strings.Fields(prefixes), func(p string) bool { return strings.HasPrefix(name, p) })
		if ours && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(name)+`[{ ]`).MatchString(metrics) {
			out = append(out, name)
		}
	}
	return out
}

// Shipped are the names that the alerts and the dashboard of the project ask for.
func Shipped() ([]string, error) {
	alerts, err := Alerts(observability.Alerts)
	if err != nil {
		return nil, err
	}
	dashboard, err := Dashboard(observability.Dashboard)
	if err != nil {
		return nil, err
	}
	return Names(slices.Concat(alerts, dashboard)), nil
}

// Alerts gives the expressions of a file of Prometheus rules.
func Alerts(text []byte) ([]string, error) {
	var file struct {
		Groups []struct {
			Rules []struct {
				Expr string `json:"expr"`
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("reading rules: %w", err)
	}
	var out []string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			out = append(out, r.Expr)
		}
	}
	return out, nil
}

// Dashboard gives the expressions of a dashboard of Grafana, with its variables
// filled in, and the queries of these variables.
func Dashboard(text []byte) ([]string, error) {
	var file struct {
		Panels []struct {
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
		Templating struct {
			List []struct {
				Definition string `json:"definition"`
			} `json:"list"`
		} `json:"templating"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("reading a dashboard: %w", err)
	}
	var out []string
	for _, p := range file.Panels {
		for _, t := range p.Targets {
			out = append(out, fill(t.Expr))
		}
	}
	for _, v := range file.Templating.List {
		if query, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
			out = append(out, fill(query[:strings.LastIndexByte(query, ',')]))
		}
	}
	return out, nil
}

var variable = regexp.MustCompile(`\$\w+`)

func fill(expr string) string {
	return variable.ReplaceAllString(strings.ReplaceAll(expr, "$__rate_interval", "5m"), ".*")
}

var (
	text     = regexp.MustCompile(`"(\\.|[^"\\])*"`)
	selector = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]`)
	grouping = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	word     = regexp.MustCompile(`\b[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
)

// Names gives the metrics of expressions, each once and in order: what is neither
// a function, an operator, a label nor a text.
func Names(exprs []string) []string {
	var out []string
	for _, e := range exprs {
		e = grouping.ReplaceAllString(selector.ReplaceAllString(text.ReplaceAllString(e, ""), ""), "")
		for _, w := range word.FindAllString(e, -1) {
			if !strings.HasSuffix(w, "(") && !slices.Contains([]string{"and", "or", "unless", "bool", "offset"}, strings.TrimSpace(w)) {
				out = append(out, strings.TrimSpace(w))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
