// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package stack says what a Gateway becomes in the cluster: ServiceAccount,
// Role, RoleBinding, Secret, ConfigMap, Service, Deployment and
// HorizontalPodAutoscaler, as values. It is pure: equal inputs give equal
// objects, nothing is read and nothing is written, and no object holds a field
// that the operator does not mean to own. How the objects reach the API server
// is the business of package apply.
package stack
