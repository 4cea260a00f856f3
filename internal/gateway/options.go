// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"io"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// None as an address is no listener.
const None = "none"

// Options say what Run runs. One of ConfigFile and File is needed; the zero
// value of everything else works.
type Options struct {
	// ConfigFile is the goma.yml to read, and to follow while it changes.
	ConfigFile string
	// File is a main file that is loaded already; it does not change.
	File *config.File
	// Strict refuses a file with unknown keys.
	Strict bool
	// Env gives the variables of ConfigFile; nil is the environment of the process.
	Env config.Expander
	// Sources are read beside those that the file enables.
	Sources []source.Source
	// Web, WebSecure and Admin win over the addresses of the file. None starts
	// no listener.
	Web, WebSecure, Admin string
	// SecretsDir has the Secrets that middlewares name, each value as a file NAME/KEY;
	// empty is the directory of GOMA_SECRETS_DIR, if that is set.
	SecretsDir string
	// Resolve sends connections to backends elsewhere: host:port to host:port.
	Resolve map[string]string
	// RouteFiles is where the certificates are that routes of a cluster name; empty is
	// GOMA_K8S_CERTS_DIR, or /etc/goma/route-certs.
	RouteFiles string
	// LogWriter takes the log where the file names none; nil is the standard
	// output.
	LogWriter io.Writer
	// DrainDelay is how long new requests are still served after the context has
	// ended; nil is GOMA_DRAIN_DELAY, or nothing.
	DrainDelay *time.Duration
	// GracePeriod is how long requests that run may then take; 0 is
	// GOMA_GRACE_PERIOD, or ten seconds.
	GracePeriod time.Duration
	// Report takes each problem that is new, in place of the log.
	Report func(config.Problem)
	// OnApply is told of each configuration that went live. It must not block.
	OnApply func(Applied)
	// Ready is called once, when the first complete configuration is live and
	// all listeners accept connections.
	Ready func(Addresses)
}

// Addresses are where the listeners are; empty for one that does not run.
type Addresses struct{ Web, WebSecure, Admin string }

// Applied is a configuration that went live.
type Applied struct {
	// Number counts from 1.
	Number uint64
	Routes []AppliedRoute
	// Middlewares counts those that are valid.
	Middlewares int
	// Problems are all there are, of all sources.
	Problems []config.Problem
	// SetAside counts the objects that are not served as they should be.
	SetAside int
	// Complete says that every source has delivered.
	Complete bool
	Took     time.Duration
}

// AppliedRoute is a route that is live.
type AppliedRoute struct {
	Name, Source, Path string
	Hosts, Methods     []string
	Middlewares        []string
	// Backends are the endpoints, or the target.
	Backends []string
	// Fault says why the route answers 503; empty when it serves.
	Fault string
}

// errNoConfig is a mistake of the caller.
var errNoConfig = errors.New("no configuration file was named")
