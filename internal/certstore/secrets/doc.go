// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package secrets keeps what a gateway obtains in Secrets of its namespace, and locks
// in Leases.
//
// The operator makes these objects, a fixed number for each Gateway, so that the rights
// on them can be given by name; this package never makes or deletes one. A value is in
// the Secret that the hash of its key names, together with the key, so that nothing is
// taken for something else. Of each Secret there is a copy in memory, which a watch
// keeps; under a lock the API server itself is asked.
//
// A write changes one entry of a Secret and holds only for the version that was looked
// at: if another replica was quicker, it is made again on what that one has left. A Lease
// counts its holders. The number goes into each Secret that is written under it, and who
// comes with a lower one has lost the lock, however late it finds out.
package secrets
