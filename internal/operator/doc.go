// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package operator turns Gateways into running stacks and says what is true of
// Gateways, Routes and Middlewares.
//
// Three reconcilers share the work. The Gateway reconciler looks at everything
// that belongs to a Gateway at once: it translates its Routes, applies its
// stack, reads what its pods answered, and puts the outcome on the board. The
// Route and the Middleware reconciler judge one object each. A change that the
// Gateway reconciler finds on the board wakes just the Routes that it concerns.
//
// Every pass looks at the world as it is and may stop anywhere and run again.
// Nothing is written that is already so. Secrets are read one by one and by
// name: the operator neither lists nor watches them.
package operator
