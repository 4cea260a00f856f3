// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway"
	"gateway.jkaninda.dev/goma/internal/gateway/admin"
)

// Explain tells where a Gateway would send a request, and what kept other routes
// from taking it.
func Explain(o *Objects, gw *v1alpha1.Gateway, method, target string) (out admin.Explanation, err error) {
	w, err := newWorkspace()
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	plan, err := NewPlan(o, gw, w.paths())
	if err != nil {
		return out, err
	}
	if err := w.write(o, plan, nil); err != nil {
		return out, err
	}
	cfg, _ := config.Merge(&config.File{}, []config.Layer{{Source: config.SourceKubernetes, Bundle: plan.Bundle}})
	out, err = admin.Explain(method, target, func(method, scheme, host, path string) admin.Explanation {
		return gateway.Explain(cfg, method, scheme, host, path)
	})
	out.Reason = strings.ReplaceAll(out.Reason, w.secrets.dir+"/", "")
	return out, err
}

// ExplanationText writes an explanation for people.
func ExplanationText(e admin.Explanation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s\n", e.Method, e.Host, e.Path)
	if e.Route != "" {
		fmt.Fprintf(&b, "route: %s\n", e.Route)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, "answer: %d, %s\n", e.Status, e.Reason)
	}
	if len(e.Candidates) == 0 {
		return b.String()
	}
	b.WriteByte('\n')
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	row := func(cells ...string) { _, _ = w.Write([]byte(strings.Join(cells, "\t") + "\n")) }
	row("CANDIDATE", "HOST", "PATH", "RESULT")
	for _, c := range e.Candidates {
		host, result := c.Host, "serves"
		if host == "" {
			host = "-"
		}
		if c.Failed != "" {
			result = c.Failed
		}
		row(c.Route, host, c.Path, result)
	}
	_ = w.Flush()
	if e.Omitted > 0 {
		fmt.Fprintf(&b, "and %d more\n", e.Omitted)
	}
	return b.String()
}
