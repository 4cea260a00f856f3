// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package loopback gives addresses to servers that cannot be told to find a free
// port themselves. The ports are not among those that the kernel gives to
// connections, so that one which was free a moment ago is free when the server
// starts, and again when it restarts, however busy the machine is.
package loopback

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The ports below those of Kubernetes' node ports and of Linux' connections.
const first, count = 20000, 9000

var (
	mu    sync.Mutex
	given = map[int]bool{}
)

// Address gives host:port of a port that nobody uses, and gives it once.
func Address(t testing.TB) string {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	for range 1000 {
		port := first + rand.IntN(count) //nolint:gosec // nobody has to be unable to guess it
		if given[port] {
			continue
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		given[port] = true
		return address
	}
	t.Fatal("no port of 127.0.0.1 is free")
	return ""
}
