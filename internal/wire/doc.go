// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package wire is the Bundle on disk: what goma-k8s-provider writes, the gateway
// reads, and the gateway's answer to it.
//
// A directory holds
//
//	index                              an append-only log; one line is one commit
//	objects/<kind>-<name>-<hash>.json  one immutable file per version of an object
//	answer/answer.json                 what the gateway has made of it
//
// A commit writes the files of the objects that changed, and then one line of
// the log, which is the commit point. A reader continues where it stopped. So the
// cost of a change is the size of the change on both sides, whatever the number
// of objects. See docs/decisions/0003-wire-format.md.
//
// The package promises: a reader sees the state of some complete commit and
// never a part of one, wherever the writer was stopped; a writer continues what
// it finds; an object that did not change keeps its pointer; a damaged object
// hurts only itself.
//
// There is one writer and any number of readers per directory.
package wire
