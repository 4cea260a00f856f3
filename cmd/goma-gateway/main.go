// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Command goma-gateway is the data plane: it reads goma.yml and what its sources
// deliver, and serves. In the image of the gateway it is also called goma.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitFailed = 1
	// exitForced is for a second signal while the gateway drains.
	exitForced = 130
)

// errReported ends with a failure that has been told already.
var errReported = errors.New("reported")

func main() {
	ctx, stop := signals()
	err := command().ExecuteContext(ctx)
	stop()
	switch {
	case errors.Is(err, errReported):
		os.Exit(exitFailed)
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(exitFailed)
	}
}

// signals gives a context that ends with the first SIGINT or SIGTERM. The second
// one ends the process at once.
func signals() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	received := make(chan os.Signal, 2)
	signal.Notify(received, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		if _, ok := <-received; !ok {
			return
		}
		cancel()
		if _, ok := <-received; ok {
			os.Exit(exitForced)
		}
	}()
	return ctx, func() {
		signal.Stop(received)
		close(received)
		cancel()
	}
}
