// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"slices"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/admin"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/geoblock"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/snapshot"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// Check gives everything that a gateway would find wrong with a main file, and
// with the directories that it names, by doing what the gateway does up to the
// point of serving. It opens no port, connects to nothing and writes nothing. The
// error is for a file that cannot be used at all.
func Check(path string, strict bool) ([]config.Problem, error) {
	f, problems, err := LoadFile(path, strict)
	if err != nil {
		return problems, err
	}
	var layers []config.Layer
	for _, s := range localSources(f) {
		d, ok := s.(*source.Directory)
		if !ok {
			// What goma-k8s-provider writes exists in its pod only.
			continue
		}
		u, _ := d.Read()
		problems = append(problems, u.Problems...)
		layers = append(layers, config.Layer{Source: s.Kind(), Bundle: u.Bundle})
	}
	cfg, merge := config.Merge(f, layers)
	problems = append(append(problems, merge...), CheckConfig(cfg)...)
	return append(problems, withoutDatabase(cfg)...), nil
}

// withoutDatabase tells of middlewares that need the database of countries, where
// the file and the environment name none.
func withoutDatabase(cfg *config.Config) (problems []config.Problem) {
	if cfg.Gateway == nil || cfg.Gateway.GeoIP.Database != "" {
		return nil
	}
	for _, m := range cfg.Middlewares {
		if slices.Contains(geoblock.Type.Names, m.Type) {
			problems = append(problems, geoblock.WithoutDatabase(m))
		}
	}
	return problems
}

// CheckConfig compiles a configuration as the gateway would, without backends, and
// gives the problems.
func CheckConfig(cfg *config.Config) []config.Problem {
	o := snapshot.Options{Pool: pool.New()}
	if cfg.Gateway != nil {
		o.GeoDatabase = absolute(cfg.Gateway.GeoIP.Database)
	}
	s, problems := snapshot.NewCompiler(o).Compile(nil, cfg)
	s.Discard()
	return problems
}

// Explain tells where a request would go with a configuration. Host and path are
// in normal form.
func Explain(cfg *config.Config, method, scheme, host, path string) admin.Explanation {
	s, _ := snapshot.NewCompiler(snapshot.Options{Pool: pool.New()}).Compile(nil, cfg)
	defer s.Discard()
	return explain(s, method, scheme, host, path)
}
