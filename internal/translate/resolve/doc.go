// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package resolve is the one place that knows what a name in a custom resource
// means, and whether the object that writes it may refer to what it names.
//
// The rule is short: an object refers to objects of its own namespace. There is
// no field that names another one, and a name that tries to, such as
// other/secret, names nothing. Names are checked before they become a path or a
// request, so that ../../x never does.
package resolve
