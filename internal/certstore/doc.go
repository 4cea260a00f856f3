// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package certstore is how a gateway without rights in a cluster keeps certificates,
// accounts and challenges where all its replicas find them: it asks the process
// beside it, in the same pod, by HTTP over a Unix socket.
//
//	gateway ──Client──▶ socket ──Server──▶ Backend (package secrets: Secrets and Leases)
//
// Who may open the socket may read and write everything behind it, so it is in a
// folder that only its owner can enter. Requests are few and small, and bounded in
// number and size on both sides.
//
// A lock lasts as long as the request that took it: it is given back when the
// gateway says so, or is gone, and the gateway is told at once when it is lost. What
// is written under a lock is refused once the lock is another's.
package certstore
