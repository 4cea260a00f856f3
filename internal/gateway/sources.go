// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// fileSources gives the sources that the main file enables.
func fileSources(f *config.File) []source.Source {
	var list []source.Source
	g := &f.Gateway
	if x := g.ExtraConfig; x.Directory != "" {
		list = append(list, source.NewDirectory(source.DirectoryOptions{
			Name: "extra", Kind: config.SourceExtra, Dir: x.Directory, Field: "gateway.extraConfig.directory",
			Watch: x.Watch, Parse: parser(config.OSEnv, config.SourceExtra),
		}))
	}
	p := g.Providers.File
	if p == nil || !p.Enabled {
		return list
	}
	dynamic := config.DynamicEnv(g.DynamicEnv)
	if p.Indexed {
		return append(list, source.NewIndexed("kubernetes", p.Directory, parser(dynamic, config.SourceKubernetes)))
	}
	return append(list, source.NewDirectory(source.DirectoryOptions{
		Name: "file", Kind: config.SourceFile, Dir: p.Directory, Field: "gateway.providers.file.directory",
		Watch: p.Watch, Parse: parser(dynamic, config.SourceFile),
	}))
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
