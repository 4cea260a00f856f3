// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/observe"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
	"gateway.jkaninda.dev/goma/internal/gateway/source/gitsource"
	"gateway.jkaninda.dev/goma/internal/gateway/source/httpsource"
)

// localSources gives the sources of this machine that the main file enables. Those
// of others see the variables of dynamic.
func localSources(f *config.File, dynamic config.Expander) []source.Source {
	var list []source.Source
	g := &f.Gateway
	if x := g.ExtraConfig; x.Directory != "" {
		list = append(list, source.NewDirectory(source.DirectoryOptions{
			Name: "extra", Kind: config.SourceExtra, Dir: x.Directory, Field: "gateway.extraConfig.directory",
			Watch: x.Watch, Parse: parser(config.OSEnv, config.SourceExtra),
		}))
	}
	if p := g.Providers.File; p != nil && p.Enabled {
		list = append(list, fileSource(p, dynamic))
	}
	return list
}

// allSources gives all sources that the main file enables.
func allSources(f *config.File, dynamic config.Expander, version string) ([]source.Source, error) {
	list, g := localSources(f, dynamic), &f.Gateway
	if p := g.Providers.HTTP; p != nil && p.Enabled {
		s, err := httpsource.New(p, version, parser(dynamic, config.SourceHTTP))
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	if p := g.Providers.Git; p != nil && p.Enabled {
		s, err := gitsource.New(p, version, parser(dynamic, config.SourceGit))
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func fileSource(p *config.FileProvider, env config.Expander) source.Source {
	if p.Indexed {
		return source.NewIndexed("kubernetes", p.Directory, parser(env, config.SourceKubernetes))
	}
	return source.NewDirectory(source.DirectoryOptions{
		Name: "file", Kind: config.SourceFile, Dir: p.Directory, Field: "gateway.providers.file.directory",
		Watch: p.Watch, Parse: parser(env, config.SourceFile),
	})
}

// hooks are the endpoints of sources: a push makes the Git source look at once.
func hooks(f *config.File, sources []source.Source) map[string]http.Handler {
	p := f.Gateway.Providers.Git
	if p == nil || !p.Enabled || p.WebhookSecret == "" {
		return nil
	}
	for _, s := range sources {
		if r, ok := s.(*source.Remote); ok && r.Kind() == config.SourceGit {
			return map[string]http.Handler{gitsource.WebhookPath: gitsource.Webhook(p.WebhookSecret, r.Nudge)}
		}
	}
	return nil
}

// sourceStates tells the metrics how fresh the remote sources are.
func sourceStates(sources []source.Source) func() []observe.SourceState {
	return func() []observe.SourceState {
		var list []observe.SourceState
		for _, s := range sources {
			if aged, ok := s.(source.Aged); ok {
				confirmed, stale := aged.Age()
				list = append(list, observe.SourceState{Name: s.Name(), Confirmed: confirmed, Stale: stale})
			}
		}
		return list
	}
}

// parser reads bundle documents with the variables that its source may use.
func parser(env config.Expander, kind config.Source) source.Parser {
	o := config.LoadOptions{Env: env, Source: kind.String()}
	return func(name string, data []byte) (*config.Bundle, []config.Problem, error) {
		return config.ParseBundle(name, data, o)
	}
}

// The pause before a source that has ended is run again.
const (
	firstPause   = time.Second
	longestPause = time.Minute
)

// runSource runs a source for ever. An error, or a panic, is a problem of the
// source; what it has delivered stays in use.
func (g *gateway) runSource(ctx context.Context, index int, s source.Source) {
	publish := func(u source.Update) { g.mailbox.update(index, u) }
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := guarded(func() error { return s.Run(ctx, publish) })
		if ctx.Err() != nil {
			return
		}
		g.log.Error("a source has stopped and is started again", "source", s.Name(), "pause", pause, "err", err)
		publish(source.Update{Problems: []config.Problem{{
			Object: config.ObjectRef{Kind: "Gateway", Source: s.Name()}, Reason: config.ReasonUnreadable,
			Message: fmt.Sprintf("source %s has stopped: %v; it is started again, and what it has delivered stays in use", s.Name(), err),
		}}})
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// guarded turns a panic into an error. E5
func guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}
