// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins h2spec, in a module of its own: it is a program that a test
// builds and runs, and nothing of the project links it.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
