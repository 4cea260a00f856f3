// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// The defaults of Options.
const (
	DefaultDebounce = 50 * time.Millisecond
	DefaultListen   = ":9903"
)

// Options configure Run. Gateway and Namespace are required.
type Options struct {
	// Gateway is the Gateway to serve, Namespace where it, its Routes, their
	// Middlewares and Secrets live.
	Gateway, Namespace string
	// OutputDir is where the bundle goes, CertsDir where certificates go.
	OutputDir, CertsDir string
	// Pod is the pod to annotate with the gateway's answer; empty for none.
	Pod string
	// Listen is the address of /healthz, /readyz and /metrics.
	Listen string
	// Debounce is how long events are taken together after the first.
	Debounce time.Duration
	// StopDelay is how long to go on after the context has ended, so that a
	// gateway that is draining is not left alone.
	StopDelay time.Duration
	// GatewayHealth is a URL that the gateway answers as long as it lives. With it
	// StopDelay is the longest wait: the end comes as soon as nobody answers.
	GatewayHealth string
	// StoreSocket is where the gateway of this pod is answered that keeps certificates
	// with all others of the Gateway; empty for none.
	StoreSocket string
	// ACMESecret is the Secret to mirror the store of issued certificates in.
	ACMESecret string
	// Config is how to reach the API server.
	Config *rest.Config
	// Logger takes the log; nil discards it.
	Logger *slog.Logger
	// Listening, when set, is told the address that Listen came to.
	Listening func(address string)
}

// FromEnvironment fills Options from the GOMA_K8S_* variables. Values that make
// no sense are the default, as users of these variables are used to.
func FromEnvironment(getenv func(string) string) Options {
	return Options{
		Gateway:    getenv("GOMA_K8S_GATEWAY"),
		Namespace:  getenv("GOMA_K8S_NAMESPACE"),
		OutputDir:  getenv("GOMA_K8S_OUTPUT_DIR"),
		CertsDir:   getenv("GOMA_K8S_CERTS_DIR"),
		Pod:        getenv("GOMA_K8S_POD"),
		Listen:     getenv("GOMA_K8S_LISTEN"),
		Debounce:   milliseconds(getenv("GOMA_K8S_DEBOUNCE_MS")),
		StopDelay:  delay(getenv("GOMA_K8S_STOP_DELAY")),
		ACMESecret: getenv("GOMA_K8S_ACME_SECRET"),

		GatewayHealth: getenv("GOMA_K8S_GATEWAY_HEALTH"),
		StoreSocket:   getenv("GOMA_K8S_STORE_SOCKET"),
	}
}

// LogLevel reads GOMA_K8S_LOG_LEVEL; anything unknown is info.
func LogLevel(text string) slog.Level {
	switch strings.ToLower(text) {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// milliseconds reads a whole positive number; 0, for the default, for anything else.
func milliseconds(text string) time.Duration {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 || n > int(time.Hour/time.Millisecond) {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

// delay reads a duration such as 5s, or a number of seconds; none for anything else.
func delay(text string) time.Duration {
	if n, err := strconv.Atoi(text); err == nil {
		text = strconv.Itoa(n) + "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0
	}
	return d
}

func (o Options) withDefaults() Options {
	o.OutputDir = cmp.Or(o.OutputDir, translate.ProviderDir)
	o.CertsDir = cmp.Or(o.CertsDir, translate.RouteCertsDir)
	o.Listen = cmp.Or(o.Listen, DefaultListen)
	o.Debounce = cmp.Or(o.Debounce, DefaultDebounce)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Validate reports all that is wrong with the options.
func (o Options) Validate() error {
	var faults []error
	if o.Gateway == "" {
		faults = append(faults, errors.New("GOMA_K8S_GATEWAY is empty: set it to the name of the Gateway to serve"))
	} else if !resolve.ValidName(o.Gateway) {
		faults = append(faults, fmt.Errorf("GOMA_K8S_GATEWAY: %q is not the name of a Gateway", o.Gateway))
	}
	if o.Namespace == "" {
		faults = append(faults, errors.New("GOMA_K8S_NAMESPACE is empty and the namespace of the pod is not known: set it"))
	} else if !resolve.ValidName(o.Namespace) {
		faults = append(faults, fmt.Errorf("GOMA_K8S_NAMESPACE: %q is not the name of a namespace", o.Namespace))
	}
	if o.Config == nil {
		faults = append(faults, errors.New("no API server to watch"))
	}
	return errors.Join(faults...)
}
