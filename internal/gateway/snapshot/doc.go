// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package snapshot compiles a Config into what serves traffic: a route table
// whose entries are complete handler chains, and the certificates.
//
// A Snapshot is immutable. Compile makes the next one from the one before: an
// object that did not change, and whose dependencies did not, keeps its compiled
// form, and with it connection pools, health and counters. Live publishes a
// Snapshot with one atomic pointer; a request runs to its end on the chain that
// it started with, and a chain that is not used any more lets go of what it holds
// when its last request has ended.
//
// What cannot be built fails closed. A route that cannot be matched is set aside.
// A route whose middleware, certificate or other dependency is missing is in the
// table and answers 503. Either is a Problem, and neither touches other routes,
// nor does a panic in the building of one object.
package snapshot
