// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"syscall"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/downstream"
	"gateway.jkaninda.dev/goma/internal/gateway/entrypoint"
	"gateway.jkaninda.dev/goma/internal/gateway/passthrough"
)

// The names of the entry points.
const (
	nameWeb       = "web"
	nameWebSecure = "webSecure"
	nameAdmin     = "admin"
)

// listeners are the entry points and the admin listener; nil for one that does
// not run. The ports that are only passed through are beside them.
type listeners struct {
	web, webSecure, admin *entrypoint.EntryPoint
	forwards              *passthrough.Server
}

// listen takes the ports. When one cannot be taken, none is.
func (g *gateway) listen() (err error) {
	f := g.state.settings.file
	defer func() {
		if err != nil {
			g.listeners.close()
		}
	}()
	public := g.identities(g.obtained.Challenges(g.endpoints.Public(g.named, g.live)))
	g.listeners.forwards = g.newForwards()
	points := f.Gateway.EntryPoints
	if g.listeners.web, err = g.bind(nameWeb, or(g.o.Web, points.Web.Address), public, &points.Web); err != nil {
		return err
	}
	if g.listeners.webSecure, err = g.bind(nameWebSecure, or(g.o.WebSecure, points.WebSecure.Address), public, &points.WebSecure); err != nil {
		return err
	}
	return g.listenAdmin(or(g.o.Admin, points.Admin.Address))
}

// listenAdmin takes the port of the admin listener. Where nobody asked for one, a
// port that is taken is no reason not to serve.
func (g *gateway) listenAdmin(address string) (err error) {
	asked := address != "" && address != config.DefaultAdminAddress
	private := g.endpoints.Private()
	point := &g.state.settings.file.Gateway.EntryPoints.Admin
	g.listeners.admin, err = g.bind(nameAdmin, or(address, config.DefaultAdminAddress), private, point)
	if err != nil && !asked && errors.Is(err, syscall.EADDRINUSE) {
		g.log.Warn("the default address of the admin listener is taken; going on without it",
			"address", config.DefaultAdminAddress, "setting", "gateway.entryPoints.admin.address")
		return nil
	}
	return err
}

func or(address, fallback string) string {
	if address == "" {
		return fallback
	}
	return address
}

func (g *gateway) bind(name, address string, h http.Handler, point *config.EntryPoint) (*entrypoint.EntryPoint, error) {
	if address == None {
		return nil, nil //nolint:nilnil // no listener is what was asked for
	}
	s := &g.state.settings.file.Gateway
	o := entrypoint.Options{
		Name: name, Address: address, Handler: h, Wrap: g.observer.Wrap, Proxy: s.Proxy, Timeouts: s.Timeouts, Logger: g.log.Logger,
		Point: *point,
	}
	if name != nameAdmin {
		o.Direct = g.direct
		if g.tracer != nil {
			o.Trace = g.tracer.Start
		}
	}
	if name == nameWebSecure {
		o.TLS, o.Authorised = g.tls(), g.authorised
	}
	e, err := entrypoint.Listen(o)
	if err != nil {
		return nil, fmt.Errorf("entry point %s: %w", name, err)
	}
	return e, nil
}

// direct serves a request without making an *http.Request of it, if all that there
// is to do is to go to a backend.
func (g *gateway) direct(s *downstream.Stream, query string, asked bool) (served bool, other http.Handler) {
	if path := s.Exchange().Path; g.endpoints.Claims(path) || g.obtained.Claims(path) {
		return false, nil
	}
	if g.identityHeader.Load() != nil {
		return false, nil
	}
	if served, other = g.live.Direct(s, query, asked); served {
		g.observer.Served(s)
	}
	return served, other
}

// named gives the path of the route that would serve a request.
func (g *gateway) named(r *http.Request) (path string, found bool) {
	m := g.live.Find(r)
	if m.Entry == nil || m.Allow != "" {
		return "", false
	}
	return m.Entry.Path, true
}

// serve accepts connections on all listeners, and tells of one that breaks.
func (g *gateway) serve(parts *sync.WaitGroup) <-chan error {
	broken := make(chan error, 3)
	for _, e := range g.listeners.all() {
		parts.Go(func() {
			if err := guarded(e.Serve); err != nil {
				broken <- err
			}
		})
	}
	g.readiness.Arrived(waitListeners)
	return broken
}

func (l *listeners) all() (list []*entrypoint.EntryPoint) {
	for _, e := range []*entrypoint.EntryPoint{l.web, l.webSecure, l.admin} {
		if e != nil {
			list = append(list, e)
		}
	}
	return list
}

// set puts the settings of listeners into effect that can change live.
func (l *listeners) set(s *config.Gateway) {
	for _, e := range l.all() {
		e.Set(s.Proxy, s.Timeouts)
	}
	l.setForwards(s)
}

// retire sends clients elsewhere with their next request.
func (l *listeners) retire() {
	for _, e := range l.all() {
		e.Retire()
	}
}

func (l *listeners) addresses() Addresses {
	address := func(e *entrypoint.EntryPoint) string {
		if e == nil {
			return ""
		}
		return e.Addr().String()
	}
	return Addresses{Web: address(l.web), WebSecure: address(l.webSecure), Admin: address(l.admin)}
}

// own are the addresses that no backend may have: what is sent there comes back. U7
func (l *listeners) own() (list []netip.AddrPort) {
	for _, e := range l.all() {
		if at, err := netip.ParseAddrPort(e.Addr().String()); err == nil {
			list = append(list, at)
		}
	}
	return list
}

func (l *listeners) close() {
	for _, e := range l.all() {
		_ = e.Close()
	}
	if l.forwards != nil {
		l.forwards.Close()
	}
}

// drainer is a listener, or several, that can end without cutting anything.
type drainer interface{ Drain(context.Context) error }

// public are the listeners for clients.
func (l *listeners) public() (list []drainer) {
	for _, e := range []*entrypoint.EntryPoint{l.web, l.webSecure} {
		if e != nil {
			list = append(list, e)
		}
	}
	return append(list, l.forwards)
}

// drainAll lets the requests of the listeners end, together.
func drainAll(ctx context.Context, list ...drainer) error {
	var group sync.WaitGroup
	errs := make([]error, len(list))
	for i, d := range list {
		group.Go(func() { errs[i] = d.Drain(ctx) })
	}
	group.Wait()
	return errors.Join(errs...)
}
