// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

// Options are what a Manager works with. Settings is required.
type Options struct {
	Settings *config.CertManager
	// Shared is the store of all replicas; nil where each gateway is alone.
	Shared store.Store
	// Socket is where the store of all replicas is asked for when Shared is nil (see
	// package certstore); empty where each gateway is alone.
	Socket string
	Logger *slog.Logger
	// Ready is closed when requests are sent here. Nothing is ordered before that an
	// authority would ask about here; nil is closed already.
	Ready <-chan struct{}
	// Changed is told that Problems or States are others than before. It must not
	// block.
	Changed func()
	// Env gives the variables with credentials; nil is the environment of the process.
	Env config.Expander
}

// Host is a name that needs a certificate.
type Host struct {
	Name string
	// Provider is empty for the default one.
	Provider string
	// Routes are those that have the name.
	Routes []config.ObjectRef
}

// Manager obtains certificates. Its methods are safe for concurrent use; a nil one
// has none.
type Manager struct {
	store     Store
	providers map[string]*provider
	// standard is the provider of hosts that name none; nil without one.
	standard *provider
	log      *slog.Logger
	changed  func()
	imports  []func(context.Context) *config.Problem
	wake     chan struct{}
	ready    <-chan struct{} // nil is closed

	// served are the certificates, by host.
	served atomic.Pointer[map[string]*entry]

	mu sync.Mutex

	entries  map[string]*entry
	settings []config.Problem
}

// entry is a host. Its fields are guarded by the Manager's mutex, but for current.
type entry struct {
	host     string
	provider *provider
	routes   []config.ObjectRef
	// current is what is served; nil before there is something.
	current atomic.Pointer[record]
	// refused says why nothing can ever be obtained.
	refused string
	state   attempts
	// next is when the host is looked at again, busy while that happens.
	next time.Time
	busy bool
}

// New makes a Manager. It asks nobody anything before Run. What is wrong with the
// settings is among Problems, and costs the certificates of that provider only.
func New(o Options) *Manager {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Env == nil {
		o.Env = config.OSEnv
	}
	m := &Manager{
		providers: map[string]*provider{}, log: o.Logger, changed: o.Changed,
		wake: make(chan struct{}, 1), ready: o.Ready, entries: map[string]*entry{},
	}
	m.served.Store(&map[string]*entry{})
	m.configure(o)
	return m
}

// SetHosts says which names need certificates now. One that is new is ordered at
// once; one that is gone is not renewed any more.
func (m *Manager) SetHosts(hosts []Host) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make(map[string]*entry, len(hosts))
	news := false
	for _, h := range hosts {
		p := m.standard
		if h.Provider != "" {
			p = m.providers[h.Provider]
		}
		if p == nil || next[h.Name] != nil {
			continue
		}
		e := m.entries[h.Name]
		if e == nil || e.provider != p {
			e = &entry{host: h.Name, provider: p, refused: p.refuses(h.Name)}
			news = true
		}
		e.routes = h.Routes
		next[h.Name] = e
	}
	if !news && len(next) == len(m.entries) {
		return
	}
	m.entries = next
	served := maps.Clone(next)
	m.served.Store(&served)
	m.nudge()
}

func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Find gives the certificate for a handshake; nil when there is none. It looks into
// memory and nowhere else: what a client asks for costs nobody an order. A11
func (m *Manager) Find(h *tls.ClientHelloInfo) *tls.Certificate {
	if m == nil {
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(h.ServerName, "."))
	served, now := *m.served.Load(), time.Now()
	if e := served[name]; e != nil {
		if r := e.current.Load(); r.valid(now) {
			return r.pair
		}
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		if e := served["*."+parent]; e != nil {
			if r := e.current.Load(); r.valid(now) {
				return r.pair
			}
		}
	}
	return nil
}

// Certificates lists those that are in use.
func (m *Manager) Certificates() (list []*tls.Certificate) {
	if m == nil {
		return nil
	}
	for _, e := range *m.served.Load() {
		if r := e.current.Load(); r != nil {
			list = append(list, r.pair)
		}
	}
	return list
}

// challenged tells whether a host may be asked about by an authority in this way.
func (m *Manager) challenged(host, kind string) bool {
	e := (*m.served.Load())[host]
	return e != nil && e.refused == "" && e.provider.challenge == kind
}

// Run works until the context ends. An order that runs is broken off then.
func (m *Manager) Run(ctx context.Context) {
	if m == nil {
		return
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	m.importAll(ctx)
	slots := make(chan struct{}, atOnce)
	for {
		wait := m.start(ctx, &workers, slots)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

const (
	// atOnce bounds the hosts that are worked on at a time.
	atOnce = 8
	// longest is how long the loop sleeps.
	longest = time.Hour
)

// start begins with the hosts whose time has come, and tells how long it is to the
// next one's.
func (m *Manager) start(ctx context.Context, workers *sync.WaitGroup, slots chan struct{}) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, wait := time.Now(), longest
	due := slices.Collect(maps.Values(m.entries))
	slices.SortFunc(due, func(a, b *entry) int { return a.next.Compare(b.next) })
	for _, e := range due {
		if e.busy || e.refused != "" {
			continue
		}
		if left := e.next.Sub(now); left > 0 {
			return min(wait, left)
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return wait
		default:
			return wait // whoever ends wakes the loop
		}
		e.busy = true
		workers.Go(func() {
			defer func() { <-slots; m.nudge() }()
			m.work(ctx, e)
		})
	}
	return wait
}

// importAll brings in what other programs have left, once.
func (m *Manager) importAll(ctx context.Context) {
	for _, bring := range m.imports {
		if p := bring(ctx); p != nil {
			m.mu.Lock()
			m.settings = append(m.settings, *p)
			m.mu.Unlock()
			m.changed()
		}
	}
}
