// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gateway.jkaninda.dev/goma/internal/tools/promnames"
)

func TestAlertsAndDashboardAskForMetricsThatTheSidecarHas(t *testing.T) {
	t.Parallel()
	names, err := promnames.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(newMetrics().registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if missing := promnames.Missing(names, promnames.Sidecar, w.Body.String()); len(missing) > 0 {
		t.Errorf("the sidecar has no %v", missing)
	}
	if missing := promnames.Missing([]string{"goma_k8s_provider_nothing"}, promnames.Sidecar, w.Body.String()); len(missing) != 1 {
		t.Error("a metric that is not there is not missed")
	}
}
