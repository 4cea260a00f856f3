// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package promnames

import (
	"slices"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/deploy/observability"
)

func TestNames(t *testing.T) {
	t.Parallel()
	got := Names([]string{
		`histogram_quantile(0.9, sum by (le, name) (rate(a_bucket{x="y_z(}"}[5m])))`,
		`a_total{b=~"c|d"} / on (e) group_left(f) (g_total offset 5m) > 1 and sum(h) without (i) > bool 2`,
		"time() - a_total",
	})
	if !slices.Equal(got, []string{"a_bucket", "a_total", "g_total", "h"}) {
		t.Errorf("names %v", got)
	}
}

// Whoever adds a metric of another program adds the test that finds it there, too.
func TestEveryNameBelongsToAProgram(t *testing.T) {
	t.Parallel()
	alerts, err := Alerts(observability.Alerts)
	if err != nil {
		t.Fatal(err)
	}
	dashboard, err := Dashboard(observability.Dashboard)
	if err != nil {
		t.Fatal(err)
	}
	names := Names(slices.Concat(alerts, dashboard))
	if len(alerts) < 15 || len(dashboard) < 30 || len(names) < 30 {
		t.Fatalf("%d alerts, %d expressions of the dashboard, %d names", len(alerts), len(dashboard), len(names))
	}
	for _, name := range names {
		known := name == "up" // Prometheus' own
		for _, p := range []string{Gateway, Sidecar, Operator, "process_", "go_"} {
			known = known || slices.ContainsFunc(strings.Split(p, " "), func(p string) bool { return strings.HasPrefix(name, p) })
		}
		if !known {
			t.Errorf("no program has %s", name)
		}
	}
}
