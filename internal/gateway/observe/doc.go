// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package observe makes what the gateway does visible: the log, the access log,
// and the metrics. It also sets the headers that every answer carries, since the
// place where answers are counted is the one they all pass.
//
// Nothing here may hold up a request. Lines go through a bounded queue and are
// dropped, and counted, when nobody takes them; counters are resolved when a
// route is compiled and are plain atomic numbers; a line that no level lets
// through is not made.
package observe
