// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the numbers of the sidecar: about twenty series, whatever the
// number of objects.
type metrics struct {
	registry     *prometheus.Registry
	commits      prometheus.Counter
	commitErrors prometheus.Counter
	generation   prometheus.Gauge
	lastCommit   prometheus.Gauge
	secrets      prometheus.Gauge
	problems     prometheus.Gauge
	reports      *prometheus.CounterVec
	watchErrors  *prometheus.CounterVec
	storeWrites  *prometheus.CounterVec
	storeRepeats prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		commits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "goma_k8s_provider_commits_total",
			Help: "Bundles handed to the gateway. A rate far above that of edits means that something rewrites objects.",
		}),
		commitErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "goma_k8s_provider_commit_errors_total",
			Help: "Bundles or certificate files that could not be written. Anything but 0 deserves a look at the volumes.",
		}),
		generation: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goma_k8s_provider_generation",
			Help: "Number of the last commit, to compare with what the gateway has applied.",
		}),
		lastCommit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goma_k8s_provider_last_commit_timestamp_seconds",
			Help: "When the last commit was made.",
		}),
		secrets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goma_k8s_provider_secrets",
			Help: "Secrets that are watched, one watch for each.",
		}),
		problems: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goma_k8s_provider_problems",
			Help: "Problems of Routes, Middlewares and Secrets that the sidecar sees.",
		}),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goma_k8s_provider_reports_total",
			Help: "Reports of the gateway written to the pod, by result: ok or error.",
		}, []string{"result"}),
		watchErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goma_k8s_provider_watch_errors_total",
			Help: "Requests of watches that failed, by resource: routes, middlewares, gateways or secrets.",
		}, []string{"resource"}),
		storeWrites: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goma_k8s_provider_store_writes_total",
			Help: "Writes to the Secrets of the store of certificates, by result: ok or error.",
		}, []string{"result"}),
		storeRepeats: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "goma_k8s_provider_store_conflicts_total",
			Help: "Writes to the store of certificates that were made again because another replica was quicker.",
		}),
	}
	m.registry.MustRegister(m.storeWrites, m.storeRepeats, m.commits, m.commitErrors, m.generation, m.lastCommit, m.secrets, m.problems, m.reports, m.watchErrors)
	for _, result := range []string{"ok", "error"} {
		m.reports.WithLabelValues(result)
		m.storeWrites.WithLabelValues(result)
	}
	for _, resource := range []string{"routes", "middlewares", "gateways", "secrets"} {
		m.watchErrors.WithLabelValues(resource)
	}
	return m
}

func (m *metrics) committed(generation uint64, now time.Time) {
	m.commits.Inc()
	m.generation.Set(float64(generation))
	m.lastCommit.Set(float64(now.UnixMilli()) / 1000)
}

// stored counts a write to the store of certificates.
func (m *metrics) stored(err error, conflicts int) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.storeWrites.WithLabelValues(result).Inc()
	m.storeRepeats.Add(float64(conflicts))
}
