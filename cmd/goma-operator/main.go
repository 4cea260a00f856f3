// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Command goma-operator turns Gateway objects into running gateways.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "goma-operator:", err)
		os.Exit(1)
	}
}
