// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/admin"
	"gateway.jkaninda.dev/goma/internal/gateway/certs"
	"gateway.jkaninda.dev/goma/internal/gateway/certs/acme"
	"gateway.jkaninda.dev/goma/internal/gateway/certs/staple"
	"gateway.jkaninda.dev/goma/internal/gateway/certs/tickets"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/proxy"
	"gateway.jkaninda.dev/goma/internal/gateway/snapshot"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
	"gateway.jkaninda.dev/goma/internal/gateway/store/redis"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
	"gateway.jkaninda.dev/goma/internal/version"
)

// The things readiness waits for, beside sources.
const (
	waitListeners = "the listeners"
	waitConfig    = "the first configuration"
)

func sourceName(s source.Source) string { return "source " + s.Name() }

// gateway is one running data plane.
type gateway struct {
	o            Options
	version      string
	delay, grace time.Duration

	log      *observe.Log
	metrics  *observe.Metrics
	observer *observe.Observer
	tracer   *observe.Tracer // nil where nothing is traced

	pool         *pool.Pool
	store        *redis.Store // nil where each gateway is alone
	registry     *upstream.Registry
	compiler     *snapshot.Compiler
	live         *snapshot.Live
	certificates atomic.Pointer[certs.Set]
	tlsConfig    atomic.Pointer[tlsConfig]
	generation   atomic.Uint64 // of what is live
	obtained     *acme.Manager // nil where no certificates are obtained
	staples      *staple.Stapler
	// identityHeader tells backends who the client is; nil where it is not told.
	identityHeader atomic.Pointer[identityHeader]
	// tlsMu is held while tlsConfig or the keys of its tickets change; nil where each
	// gateway has its own keys.
	tlsMu      sync.Mutex
	ticketKeys [][32]byte

	readiness *admin.Readiness
	endpoints *admin.Endpoints
	listeners listeners

	mailbox  *mailbox
	mainFile *fileWatch
	files    *fileWatch
	state    state
}

// Run serves until the context ends, then lets requests that run finish, and
// returns nil. An error means that the gateway could not start, or that a
// listener broke.
func Run(ctx context.Context, o Options) error {
	g, err := assemble(o)
	if err != nil {
		return err
	}
	defer g.log.Close()
	defer g.tracer.Close()
	defer g.store.Close()
	if err := g.listen(); err != nil {
		return err
	}
	return g.run(ctx)
}

// assemble makes all parts; nothing runs and no port is taken yet.
func assemble(o Options) (*gateway, error) {
	s, err := loadSettings(o)
	if err != nil {
		return nil, err
	}
	g := &gateway{o: o, version: version.Version, mailbox: newMailbox(), pool: pool.New(), live: &snapshot.Live{}}
	if g.delay, g.grace, err = drainTimes(o); err != nil {
		return nil, err
	}
	if g.log, err = observe.NewLog(s.file.Gateway.Log, o.LogWriter); err != nil {
		return nil, err
	}
	if err := g.observe(s.file); err != nil {
		return nil, err
	}
	sources, err := allSources(s.file, s.dynamicEnv, g.version)
	if err != nil {
		return nil, err
	}
	sources = append(sources, o.Sources...)
	g.metrics.Sources = sourceStates(sources)
	g.state = state{settings: s, sources: sources, newest: make([]source.Update, len(sources)), answers: answers{}}
	wait := []string{waitListeners, waitConfig}
	for _, src := range sources {
		wait = append(wait, sourceName(src))
	}
	g.readiness = admin.NewReadiness(wait...)
	g.registry = upstream.NewRegistry(upstream.Settings{
		Networking: s.file.Gateway.Networking, Resolve: o.Resolve, Own: g.listeners.own, Logger: g.log.Logger, Version: g.version,
	}, g.pool)
	if g.store, err = redis.Open(s.file.Gateway.Redis, redis.Options{Logger: g.log.Logger, Counters: g.metrics.Counters}); err != nil {
		return nil, err
	}
	g.obtained = g.newObtained(s.file.CertManager)
	g.staples = staple.New(g.log.Logger)
	g.metrics.Certificates = g.certificateStates
	g.compiler = snapshot.NewCompiler(snapshot.Options{
		Backends: g.backend, Pool: g.pool, Metrics: g.metrics, Logger: g.log.Logger, Version: g.version,
		Store: g.store.Shared(), Counters: g.metrics.Counters, GeoDatabase: absolute(s.file.Gateway.GeoIP.Database),
		FilesDir: filesDir(o.ConfigFile), RouteFiles: routeFiles(o), SecretsDir: secretsDir(o),
		Endpoints: [2]http.Handler{
			snapshot.Metrics: g.metrics.Handler(), snapshot.RouteHealth: admin.RouteHealth(g.routeHealth),
		},
	})
	g.endpoints = admin.New(admin.Options{
		Readiness: g.readiness, Metrics: g.live.Endpoint(snapshot.Metrics), RouteHealth: g.live.Endpoint(snapshot.RouteHealth),
		Reload: g.reload, Config: g.liveConfig, Generation: g.generation.Load, Explain: g.explain, Routes: g.routeList,
		Hooks: hooks(s.file, sources),
	})
	return g, nil
}

// absolute gives a path that can be watched; none stays none.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// run is the life of the gateway, whose ports are taken.
func (g *gateway) run(ctx context.Context) error {
	// The parts outlive ctx: they work on while requests drain.
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	defer g.countCountries(g.state.settings.file.Gateway.GeoIP.Database)()
	broken := g.serve(&parts)
	g.start(inner, &parts)
	err := g.untilDone(ctx, broken)
	g.drain(err == nil)
	stop()
	parts.Wait()
	g.live.Close()
	return err
}

// start runs the loop, the sources and the watching of files.
func (g *gateway) start(ctx context.Context, parts *sync.WaitGroup) {
	g.files = newFileWatch(func() { g.mailbox.put(func(b *batch) { b.files = true }) })
	parts.Go(func() { g.files.run(ctx) })
	if path := g.state.settings.path; path != "" {
		g.mainFile = newFileWatch(func() { g.mailbox.put(func(b *batch) { b.main = true }) })
		g.mainFile.set([]string{path})
		parts.Go(func() { g.mainFile.run(ctx) })
	}
	for i, src := range g.state.sources {
		parts.Go(func() { g.runSource(ctx, i, src) })
	}
	if g.store != nil && g.listeners.webSecure != nil {
		parts.Go(func() { tickets.Run(ctx, g.store, g.log.Logger, g.setTicketKeys) })
	}
	if g.obtained != nil {
		parts.Go(func() { g.obtained.Run(ctx) })
	}
	if g.listeners.webSecure != nil {
		parts.Go(func() { g.staples.Run(ctx) })
	}
	parts.Go(func() { g.loop(ctx) })
	g.mailbox.put(func(*batch) {}) // the static part does not wait for sources
}

// untilDone waits for the end of the context, or for a listener that breaks.
func (g *gateway) untilDone(ctx context.Context, broken <-chan error) error {
	ready := g.readiness.Ready()
	for {
		select {
		case <-ready:
			ready = nil
			a := g.listeners.addresses()
			g.log.Info("ready", "web", a.Web, "web_secure", a.WebSecure, "admin", a.Admin)
			if g.o.Ready != nil {
				g.o.Ready(a)
			}
		case err := <-broken:
			return fmt.Errorf("serving: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

// backend makes the end of a route's chain.
func (g *gateway) backend(r *config.Route) (snapshot.Backend, []config.Problem) {
	cluster, problems := g.registry.Acquire(r)
	if cluster == nil {
		return snapshot.Backend{}, problems
	}
	handler := proxy.New(proxy.Options{Route: r, Cluster: cluster})
	return snapshot.Backend{
		Handler: handler, Direct: handler.Direct, Release: cluster.Release, Files: cluster.Files(),
	}, problems
}

// setSettings puts those settings of the main file into effect that can change
// while the gateway runs.
func (g *gateway) setSettings(f *config.File) {
	s := &f.Gateway
	if g.log.SetLevel(s.Log.Level) {
		g.log.Info("log level changed", "level", s.Log.Level)
	}
	g.setObservation(s)
	strict := s.StrictSlash == nil || *s.StrictSlash
	g.endpoints.Set(admin.Settings{Monitoring: s.Monitoring, Reload: s.Reload, StrictSlash: strict})
	g.listeners.set(s)
	g.setClientAuth(s)
}
