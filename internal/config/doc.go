// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package config is the vocabulary of goma.yml: its types, defaults, loading
// with ${ENV}, and validation that points at file, line and column.
//
// Everything a gateway can be told is one of two documents. A File is the main
// file: settings of the gateway and, maybe, routes and middlewares. A Bundle
// carries routes and middlewares only, and is what every other source delivers:
// extra files, the file, HTTP and Git providers, and Kubernetes. Merge joins a
// File and Bundles into the Config that the data plane compiles.
//
// Whatever the source and the syntax, a document is decoded in one way: parsed
// to plain values, expanded, then decoded as JSON. So a short form that works in
// one place works in all of them.
//
// The package imports nothing else of the project and performs no network access.
package config
