// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package passthrough forwards TCP connections and UDP datagrams as they are,
// from a port to a target, without TLS and without looking into them.
//
// A port that cannot be taken is a problem of that port alone, and is tried again
// until it can. Rules change while others go on: a connection keeps the target it
// began with, a port that is not named any more takes no new ones. Nothing grows
// without bound: connections and sessions of a port are limited, and end when
// nobody has sent anything for the idle time, however they began. G6
package passthrough
