// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command bench compares goma-gateway with other proxies on one machine.
//
// Every scenario starts all targets with the same routes and the same origin and
// puts them under the same load in interleaved rounds. The figure of merit is
// the CPU time that the proxy's own processes spend per request, since load
// generator, proxy and origin share the machine and requests per second mostly
// say how they share it. What is compared is the median of each round's own ratio
// to the baseline, so that a noisy spell hits both sides of one.
//
// It runs programs that are installed on the machine: run.sh, which `make bench`
// calls, installs what is missing. It listens on free ports of 127.0.0.1 and ends
// all that it started.
package main
