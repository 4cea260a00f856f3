// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package apply brings objects to their desired state by server-side apply, and
// writes nothing when they are there. Whether they are is read from the live
// object each time: the fields that the operator owns, as the API server
// recorded them, are compared with the desired ones. A field that somebody else
// changed is no longer owned and so differs; a field that nobody asked for is
// not looked at.
//
// An object is touched only if the Gateway controls it. An object of the same
// name that belongs to somebody else is a CollisionError and stays as it is.
package apply
