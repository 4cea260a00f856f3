// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package gateway is the data plane: it puts the parts together, keeps the newest
// configuration applied, and ends without cutting a request.
//
// Everything that changes what is served goes through one loop. Sources, files
// and the reload endpoint leave what they have in a mailbox; the loop takes all of
// it, merges, compiles, and swaps one pointer. So the newest wins, a burst is one
// step, and what is broken leaves everything else as it was.
package gateway
