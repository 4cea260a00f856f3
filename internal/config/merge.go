// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

// Config is what the data plane compiles: the settings of the main file and the
// valid routes and middlewares of all sources, in order of precedence.
type Config struct {
	Gateway     *Gateway
	CertManager *CertManager
	Routes      []*Route
	Middlewares []*Middleware
}

// Source names where a Bundle came from. Lower values come first, and of two
// objects with one name the first serves.
type Source int

// The sources in order of precedence.
const (
	SourceStatic Source = iota
	SourceExtra
	SourceFile
	SourceKubernetes
	SourceHTTP
	SourceGit
)
