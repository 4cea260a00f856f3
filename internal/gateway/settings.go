// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/store/redis"
)

// settings is the main file: as it was read last, and as it is in effect.
type settings struct {
	path   string
	strict bool
	env    config.Expander

	// file is in effect: the newest good one, with those sections that need a
	// restart as they were at the start.
	file *config.File
	// problems are those of the newest file, good or not.
	problems []config.Problem
	// dynamic are the variables that sources of others may read, under file.
	dynamic atomic.Pointer[config.Expander]
}

// dynamicEnv reads a variable for a source of others. A setting that has become a
// credential is out of their reach from then on. T7
func (s *settings) dynamicEnv(name string) (string, bool) { return (*s.dynamic.Load())(name) }

func (s *settings) use(f *config.File) {
	s.file = f
	dynamic := f.DynamicEnv()
	s.dynamic.Store(&dynamic)
}

// loadSettings reads the main file for the first time. An error means that
// the process cannot start.
func loadSettings(o Options) (*settings, error) {
	s := &settings{path: o.ConfigFile, strict: o.Strict, env: o.Env}
	if s.env == nil {
		s.env = config.OSEnv
	}
	if o.File != nil {
		s.path = ""
		s.use(o.File)
		s.file.ApplyDefaults()
		s.problems = append(config.ValidateFile(s.file), unsupported(s.file)...)
	} else {
		f, problems, err := LoadFileWith(s.path, s.strict, s.env)
		if err != nil {
			return nil, err
		}
		s.use(f)
		s.problems = problems
	}
	if err := refuseSettings(s.problems); err != nil {
		return nil, err
	}
	return s, nil
}

// LoadFile reads a main file as the gateway does: with the environment, defaults
// and checks. The error is for a file that cannot be used at all; problems of
// settings have the Kind Gateway.
func LoadFile(path string, strict bool) (*config.File, []config.Problem, error) {
	return LoadFileWith(path, strict, config.OSEnv)
}

// LoadFileWith is LoadFile with variables that come from elsewhere.
func LoadFileWith(path string, strict bool, env config.Expander) (*config.File, []config.Problem, error) {
	if path == "" {
		return nil, nil, errNoConfig
	}
	f, problems, err := config.Load(path, config.LoadOptions{
		Env: env, Strict: strict, Source: config.SourceStatic.String(),
	})
	if err != nil {
		return nil, problems, fmt.Errorf("loading %s: %w", path, err)
	}
	problems = append(problems, f.ApplyEnvironment(env)...)
	f.ApplyDefaults()
	problems = append(problems, config.ValidateFile(f)...)
	return f, config.Bound(append(problems, unsupported(f)...)), nil
}

// refuseSettings gives an error for problems that no gateway can run with. What
// is wrong with a route or a middleware is not among them.
func refuseSettings(problems []config.Problem) error {
	var all []error
	for _, p := range problems {
		object := p.Object.Kind == "Route" || p.Object.Kind == "Middleware"
		if p.Severity == config.SeverityError && !object {
			all = append(all, errors.New(p.String()))
		}
	}
	return errors.Join(all...)
}

// unsupported lists what a file asks of this build in vain: it is served without,
// and said loudly.
func unsupported(f *config.File) []config.Problem {
	var list []config.Problem
	add := func(wanted bool, severity config.Severity, field, message string) {
		if wanted {
			list = append(list, config.Problem{
				Object: config.ObjectRef{Kind: "Gateway"}, Field: field, Reason: config.ReasonUnsupported,
				Severity: severity, Message: message, Position: f.Place(field),
			})
		}
	}
	g := &f.Gateway
	warn := config.SeverityWarning
	if err := redis.Check(g.Redis); err != nil {
		list = append(list, config.Problem{
			Object: config.ObjectRef{Kind: "Gateway"}, Field: "gateway.redis", Reason: config.ReasonInvalid, Message: err.Error(),
			Position: f.Place("gateway.redis"),
		})
	}
	add(g.Analytics.Enabled, warn, "gateway.analytics.enabled", "this build does not send analytics")
	ignored(g, func(field, message string) {
		add(true, config.SeverityNote, field, message)
		list[len(list)-1].Reason = config.ReasonIgnored
	})
	return list
}

// ignored tells of settings that are accepted and without effect. C7
func ignored(g *config.Gateway, note func(field, message string)) {
	for _, x := range []struct {
		given          bool
		field, message string
	}{
		{g.Networking.Transport.DisableCompression, "gateway.networking.transport.disableCompression", "content codings always pass as they are"},
		{g.Debug, "gateway.debug", "use gateway.log.level: debug"},
		{g.Monitoring.EnableReadiness != nil && !*g.Monitoring.EnableReadiness, "gateway.monitoring.enableReadiness", "/readyz is always there"},
		{g.Monitoring.EnableLiveness != nil && !*g.Monitoring.EnableLiveness, "gateway.monitoring.enableLiveness", "/healthz is always there"},
	} {
		if x.given {
			note(x.field, x.message)
		}
	}
}

// reload reads the main file again. When it cannot be used, everything stays as
// it is.
func (s *settings) reload() error {
	if s.path == "" {
		return nil
	}
	f, problems, err := LoadFileWith(s.path, s.strict, s.env)
	if err == nil {
		err = refuseSettings(problems)
	}
	if err != nil {
		s.problems = append(problems, config.Problem{
			Object: config.ObjectRef{Kind: "File", Name: s.path}, Reason: config.ReasonUnreadable,
			Message:  fmt.Sprintf("%v; the settings and routes of before stay in effect", err),
			Position: config.Position{File: s.path},
		})
		return err
	}
	s.problems = append(problems, keepFixed(s.file, f)...)
	s.use(f)
	return nil
}

// fixed are the sections that only a start puts into effect.
var fixed = []struct {
	field string
	of    func(*config.File) any
}{
	{"gateway.entryPoints.web", func(f *config.File) any { return &f.Gateway.EntryPoints.Web }},
	{"gateway.entryPoints.webSecure", func(f *config.File) any { return &f.Gateway.EntryPoints.WebSecure }},
	{"gateway.entryPoints.admin", func(f *config.File) any { return &f.Gateway.EntryPoints.Admin }},
	{"gateway.providers", func(f *config.File) any { return &f.Gateway.Providers }},
	{"gateway.extraConfig", func(f *config.File) any { return &f.Gateway.ExtraConfig }},
	{"gateway.networking", func(f *config.File) any { return &f.Gateway.Networking }},
	{"gateway.redis", func(f *config.File) any { return &f.Gateway.Redis }},
	{"gateway.analytics", func(f *config.File) any { return &f.Gateway.Analytics }},
	{"gateway.geoip", func(f *config.File) any { return &f.Gateway.GeoIP }},
	{"gateway.dynamicEnv", func(f *config.File) any { return &f.Gateway.DynamicEnv }},
	{"gateway.log.filePath", func(f *config.File) any { return &f.Gateway.Log.FilePath }},
	{"gateway.tracing", func(f *config.File) any { return &f.Gateway.Tracing }},
	{"gateway.log.format", func(f *config.File) any { return &f.Gateway.Log.Format }},
	{"certManager", func(f *config.File) any { return &f.CertManager }},
}

// keepFixed puts what is in effect in place of what a new file says, where only a
// start can change it, and reports that.
func keepFixed(running, next *config.File) []config.Problem {
	var list []config.Problem
	for _, section := range fixed {
		old, now := section.of(running), section.of(next)
		if reflect.DeepEqual(old, now) {
			continue
		}
		list = append(list, config.Problem{
			Object: config.ObjectRef{Kind: "Gateway"}, Field: section.field, Reason: config.ReasonIgnored,
			Severity: config.SeverityWarning, Position: next.Place(section.field),
			Message: "the change takes effect when the gateway is started again",
		})
		reflect.ValueOf(now).Elem().Set(reflect.ValueOf(old).Elem())
	}
	return list
}
