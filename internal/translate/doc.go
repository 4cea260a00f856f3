// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package translate turns custom resources into configuration: Routes and
// Middlewares into a Bundle, a Gateway into the static goma.yml. The operator,
// the sidecar and the command line use it, and there is no other translation.
//
// It is pure: values in, values and problems out. The same objects in any order
// give the same bytes, no clock, environment or network plays a part, and what a
// user wrote stays a value all the way, never text that is pasted into text.
package translate
