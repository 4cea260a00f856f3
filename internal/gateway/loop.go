// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
	"gateway.jkaninda.dev/goma/internal/gateway/route"
	"gateway.jkaninda.dev/goma/internal/gateway/snapshot"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// state is what the loop knows. Only the loop's goroutine touches it.
type state struct {
	settings *settings
	sources  []source.Source
	// newest is the newest word of each source, by position.
	newest []source.Update
	// config and mergeProblems are of the newest merge.
	config        *config.Config
	mergeProblems []config.Problem
	applied       uint64
	// complete says that every source has delivered.
	complete bool
	answers  answers
	// told are the problems that stand in the log.
	told map[config.Problem]bool
}

// loop applies what comes until the context ends.
func (g *gateway) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			g.refuseCallers()
			return
		case <-g.mailbox.wake:
		}
		b := g.mailbox.take()
		result := outcome{}
		applied := false
		result.err = guarded(func() error {
			var err error
			result.routes, err = g.step(b)
			applied = true
			return err
		})
		if !applied {
			g.metrics.Fail()
		}
		if result.err != nil && len(b.callers) == 0 {
			g.log.Error("the configuration was not applied; the one of before stays in use", "err", result.err)
		}
		for _, c := range b.callers {
			c <- result
		}
	}
}

func (g *gateway) refuseCallers() {
	for _, c := range g.mailbox.take().callers {
		c <- outcome{err: errors.New("the gateway is shutting down")}
	}
}

// step takes a batch into account: it reads, merges, compiles, and swaps last.
func (g *gateway) step(b batch) (routes int, err error) {
	start := time.Now()
	s := &g.state
	merge := s.config == nil
	if b.main {
		before := s.settings.file
		err = s.settings.reload()
		merge = merge || s.settings.file != before
	}
	for index, u := range b.updates {
		merge = merge || u.Bundle != nil && u.Bundle != s.newest[index].Bundle
		if u.Bundle == nil {
			u.Bundle, u.Generation, u.Checksum = s.newest[index].Bundle, s.newest[index].Generation, s.newest[index].Checksum
		}
		s.newest[index] = u
	}
	if merge {
		s.config, s.mergeProblems = config.Merge(s.settings.file, s.layers())
	}
	previous := g.live.Current()
	next, compileProblems := g.compiler.Compile(previous, s.config)
	g.live.Swap(next)
	g.certificates.Store(next.Certs())
	if s.settings.file.Gateway.Networking.DNSCache.ClearOnReload && (b.main || next.Changed()) {
		g.registry.ForgetNames()
	}
	if merge {
		g.setSettings(s.settings.file)
	} else if b.files {
		g.setClientAuth(&s.settings.file.Gateway)
	}
	problems := append(s.problems(compileProblems), s.located(g.tlsConfig.Load().problems)...)
	problems = append(problems, g.setHosts(next)...)
	g.setStaples(next)
	problems = config.Bound(append(problems, s.located(g.listeners.problems())...))
	took := time.Since(start)
	g.after(next, problems, previous == nil || next.Changed(), took)
	g.metrics.Apply(observe.Applied{
		Generation: s.applied, Err: err, Took: took, Problems: problems, SetAside: setAside(problems),
	})
	return len(next.Table().Entries()), err
}

// located says of problems of the settings where they are written now.
func (s *state) located(problems []config.Problem) []config.Problem {
	list := slices.Clone(problems)
	for i := range list {
		list[i].Position = s.settings.file.Place(list[i].Field)
	}
	return list
}

// layers are the Bundles of the sources that have delivered.
func (s *state) layers() []config.Layer {
	var list []config.Layer
	for i, src := range s.sources {
		if b := s.newest[i].Bundle; b != nil {
			list = append(list, config.Layer{Source: src.Kind(), Bundle: b})
		}
	}
	return list
}

// problems joins those of the main file, the sources, merge and compile.
func (s *state) problems(compiled []config.Problem) []config.Problem {
	list := slices.Clone(s.settings.problems)
	for i, u := range s.newest {
		for _, p := range u.Problems {
			if p.Object.Source == "" {
				p.Object.Source = s.sources[i].Kind().String()
			}
			list = append(list, p)
		}
	}
	return append(append(list, s.mergeProblems...), compiled...)
}

// after tells everybody about what is live now.
func (g *gateway) after(next *snapshot.Snapshot, problems []config.Problem, changed bool, took time.Duration) {
	s := &g.state
	s.applied++
	g.generation.Store(s.applied)
	g.files.set(append(next.Files(), g.tlsConfig.Load().files...))
	entries := next.Table().Entries()
	g.metrics.SetCounts(len(entries), len(next.Config().Middlewares))
	complete := g.arrived()
	news := complete != s.complete
	s.complete = complete
	aside := setAside(problems)
	fresh := g.tell(problems)
	if changed || fresh {
		g.log.Info("configuration applied", "generation", s.applied, "routes", len(entries),
			"middlewares", len(next.Config().Middlewares), "set_aside", aside, "duration", took.Round(time.Microsecond))
	}
	g.answer(next, problems)
	if g.o.OnApply != nil && (changed || fresh || news) {
		g.o.OnApply(Applied{
			Number: s.applied, Routes: appliedRoutes(next), Middlewares: len(next.Config().Middlewares),
			Problems: problems, SetAside: aside, Complete: complete, Took: took,
		})
	}
}

// arrived tells readiness which sources have delivered, and whether all have.
func (g *gateway) arrived() bool {
	complete := true
	for i, src := range g.state.sources {
		if g.state.newest[i].Bundle == nil {
			complete = false
			continue
		}
		g.readiness.Arrived(sourceName(src))
	}
	if complete {
		g.live.Complete()
		g.readiness.Arrived(waitConfig)
	}
	return complete
}

// tell logs the problems that are not in the log yet, and which are gone; it
// reports whether anything was new.
func (g *gateway) tell(problems []config.Problem) (fresh bool) {
	s := &g.state
	now := make(map[config.Problem]bool, len(problems))
	for _, p := range problems {
		if now[p] {
			continue
		}
		now[p] = true
		if !s.told[p] {
			fresh = true
			g.logProblem(p)
		}
	}
	for p := range s.told {
		if !now[p] {
			fresh = true
			if p.Severity == config.SeverityError {
				g.log.Info("problem solved", "object", p.Object.String(), "field", p.Field, "reason", string(p.Reason))
			}
		}
	}
	s.told = now
	return fresh
}

func (g *gateway) logProblem(p config.Problem) {
	if g.o.Report != nil {
		g.o.Report(p)
		return
	}
	log := g.log.Warn
	switch p.Severity {
	case config.SeverityError:
		log = g.log.Error
	case config.SeverityNote:
		log = g.log.Debug
	}
	fields := []any{"object", p.Object.String(), "reason", string(p.Reason)}
	if p.Object.Source != "" {
		fields = append(fields, "source", p.Object.Source)
	}
	if p.Field != "" {
		fields = append(fields, "field", p.Field)
	}
	if at := p.Position.String(); at != "" {
		fields = append(fields, "at", at)
	}
	log(p.Message, fields...)
}

// setAside counts the objects with an error.
func setAside(problems []config.Problem) int {
	objects := map[config.ObjectRef]bool{}
	for _, p := range problems {
		if p.Severity == config.SeverityError {
			objects[p.Object] = true
		}
	}
	return len(objects)
}

// answer tells the writers of Bundles what became of theirs.
func (g *gateway) answer(next *snapshot.Snapshot, problems []config.Problem) {
	for i, src := range g.state.sources {
		to, ok := src.(source.Answerer)
		u := &g.state.newest[i]
		if !ok || u.Bundle == nil {
			continue
		}
		a := wire.Answer{
			Generation: u.Generation, Checksum: u.Checksum, AppliedAt: time.Now().UTC(), Version: g.version,
			Certificates: g.certificatesObtained(),
		}
		name := src.Kind().String()
		next.Live(func(_ *route.Entry, r *config.Route) {
			if r.Meta.Ref.Source == name {
				a.Routes++
			}
		})
		for _, m := range next.Config().Middlewares {
			if m.Meta.Ref.Source == name {
				a.Middlewares++
			}
		}
		for _, p := range problems {
			if p.Object.Source == name {
				a.Problems = append(a.Problems, p)
			}
		}
		if g.state.answers.news(i, a) {
			to.Answer(a)
		}
	}
}

// answers are the last ones, by position of the source.
type answers map[int]wire.Answer

// news tells whether an answer says anything that the last one did not, and keeps
// it. The time alone is no news.
func (l answers) news(index int, a wire.Answer) bool {
	last, ok := l[index]
	l[index] = a
	last.AppliedAt = a.AppliedAt
	return !ok || !reflect.DeepEqual(last, a)
}

// appliedRoutes lists what is in the table, in its order.
func appliedRoutes(s *snapshot.Snapshot) []AppliedRoute {
	var list []AppliedRoute
	s.Live(func(e *route.Entry, r *config.Route) {
		a := AppliedRoute{
			Name: r.Name, Source: r.Meta.Ref.Source, Path: r.Path, Hosts: r.Hosts, Methods: r.Methods,
			Middlewares: r.Middlewares, Fault: s.Fault(e),
		}
		for _, b := range r.Backends {
			a.Backends = append(a.Backends, b.Endpoint)
		}
		if len(a.Backends) == 0 && r.Target != "" {
			a.Backends = []string{r.Target}
		}
		list = append(list, a)
	})
	return list
}

// reload reads the main file and all sources again and applies what is new. The
// error says what kept a part of it from being read; the rest is applied.
func (g *gateway) reload(ctx context.Context) (routes int, err error) {
	var failures []string
	for _, src := range g.state.sources {
		if r, ok := src.(source.Refresher); ok {
			if err := r.Refresh(ctx); err != nil {
				failures = append(failures, fmt.Sprintf("source %s: %v", src.Name(), err))
			}
		}
	}
	result := make(chan outcome, 1)
	g.mailbox.put(func(b *batch) {
		b.main, b.files = true, true
		b.callers = append(b.callers, result)
	})
	select {
	case out := <-result:
		if out.err != nil {
			failures = append([]string{out.err.Error()}, failures...)
		}
		if len(failures) > 0 {
			return out.routes, errors.New(strings.Join(failures, "; "))
		}
		return out.routes, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
