// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"slices"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/admin"
	"gateway.jkaninda.dev/goma/internal/gateway/certs/acme"
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
	for _, s := range localSources(f, f.DynamicEnv()) {
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
	compiler := snapshot.Options{Pool: pool.New(), FilesDir: filesDir(path), FilesHere: true, SecretsDir: secretsDir(Options{}), GeoDatabase: absolute(f.Gateway.GeoIP.Database)}
	problems = append(append(problems, merge...), compiled(compiler, cfg)...)
	if f.CertManager != nil {
		problems = append(problems, acme.New(acme.Options{Settings: f.CertManager}).Problems()...)
	}
	return config.Bound(append(problems, withoutDatabase(cfg)...)), nil
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

// CheckConfig compiles a configuration as a gateway elsewhere would, without
// backends, and gives the problems. The files that rules name are not read; what is
// in Secrets is checked as far as they are below secretsDir, which may be empty.
func CheckConfig(cfg *config.Config, secretsDir string) []config.Problem {
	o := snapshot.Options{Pool: pool.New(), FilesDir: filesDir(""), SecretsDir: secretsDir}
	if cfg.Gateway != nil {
		o.GeoDatabase = absolute(cfg.Gateway.GeoIP.Database)
	}
	return compiled(o, cfg)
}

func compiled(o snapshot.Options, cfg *config.Config) []config.Problem {
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
