// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"gateway.jkaninda.dev/goma/internal/operator/stack"
)

// LeaseName is the Lease by which one of several operators leads. It is that of
// earlier releases, so that an upgrade never has two at work.
const LeaseName = "570bcd8e.jkaninda.dev"

// A leader that dies without a word is followed by another one when its Lease has
// run out and the other has looked again, which it does at most every 2.2 retry
// periods: within 20 seconds. A leader that cannot renew stops before that.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// Options is how the operator runs. The zero value watches all namespaces,
// without metrics, probes and leader election.
type Options struct {
	// Namespaces are those that are looked at; none for all. Namespace is one more.
	Namespaces []string
	Namespace  string
	// MetricsAddress is where metrics are served, such as :8443; empty or "0" for nowhere.
	MetricsAddress string
	// MetricsInsecure serves metrics in plain text and to everybody. Otherwise
	// they are served with TLS to those who may get /metrics.
	MetricsInsecure bool
	// ProbeAddress is where /healthz and /readyz are served; empty or "0" for nowhere.
	ProbeAddress string
	// LeaderElection makes the operator wait for the Lease. LeaderNamespace is
	// where the Lease is; empty for the namespace of the pod.
	LeaderElection  bool
	LeaderNamespace string
	// HTTP2 allows HTTP/2 on the metrics listener.
	HTTP2 bool
	// Resync is how often a Gateway is looked at without a reason, to see what
	// is not watched: its Secrets. Zero for ten minutes.
	Resync time.Duration
	// Images are taken for Gateways that name none, or the documented default.
	Images stack.Images
	// Logger takes the log; nil for none.
	Logger *slog.Logger
}

// Validate reports every fault at once.
func (o Options) Validate() error {
	var faults []error
	for _, ns := range o.watched() {
		if len(validation.IsDNS1123Label(ns)) > 0 {
			faults = append(faults, fmt.Errorf("namespace %q is not the name of a namespace", ns))
		}
	}
	for name, address := range map[string]string{"metrics": o.MetricsAddress, "health probe": o.ProbeAddress} {
		if address == "" || address == "0" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			faults = append(faults, fmt.Errorf("%s address %q: write it like :8081", name, address))
		}
	}
	if o.Resync < 0 {
		faults = append(faults, fmt.Errorf("resync %s is negative", o.Resync))
	}
	return errors.Join(faults...)
}

// watched are the namespaces that are looked at, each once; none means all.
func (o Options) watched() []string {
	all := slices.Clone(o.Namespaces)
	if o.Namespace != "" {
		all = append(all, o.Namespace)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (o Options) resync() time.Duration {
	if o.Resync == 0 {
		return 10 * time.Minute
	}
	return o.Resync
}
