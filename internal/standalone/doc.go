// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package standalone runs Gateway, Route and Middleware manifests without a
// cluster. It reads them from files as the API server would take them, puts the
// parts together that are otherwise spread over operator, sidecar and gateway,
// and promises the same outcome: the same schema, the same translation, the same
// data plane.
//
// What differs is what only a cluster has. Images, replicas and the Service mean
// nothing here, the listeners have the addresses that the caller gives, and a
// Secret exists only if a manifest holds it.
package standalone
