// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package status says what is true of a Gateway, a Route and a Middleware, and
// writes it. The judgement is pure: facts in, status out. The Writer is the only
// place of the operator that writes a status; it writes when something differs
// and leaves conditions of other controllers alone.
//
// What is claimed is known: a Route is Programmed when the pods themselves have
// answered that they have it, and every False names its cause.
package status
