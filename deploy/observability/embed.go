// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package observability embeds the alert rules and the dashboard, so that tests
// hold them to the metrics that there are.
package observability

import _ "embed"

// Alerts are rules of Prometheus.
//
//go:embed alerts.yaml
var Alerts []byte

// Dashboard is one of Grafana.
//
//go:embed dashboard.json
var Dashboard []byte
