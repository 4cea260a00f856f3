// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package k8sprovider is goma-k8s-provider, the sidecar of a gateway pod: it
// watches Routes, Middlewares, its Gateway and the Secrets that its Routes name,
// and hands them to the gateway through two directories.
//
//	API server ──feed──▶ engine ──translate──▶ wire directory ──▶ gateway
//	            ──watch──▶ engine ──▶ certificate directory ──▶ gateway
//	API server ◀── reporter (annotation of the pod) ◀── answer of the gateway
//
// One goroutine, the engine, owns all state. It acts on the first event at once
// and then takes together what comes within the debounce window, so that a burst
// is a few commits and steady events are delivered all the same. It commits for
// the first time when everything has been listed; until then, and while the API
// server is away, what is on disk stays.
//
// A Secret that is missing or broken hurts the Routes that name it and nothing
// else. Content of Secrets is never logged.
package k8sprovider
