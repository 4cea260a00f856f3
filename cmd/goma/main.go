// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Command goma is the user's command line: it runs, checks, renders and explains
// Gateway, Route and Middleware manifests without a cluster.
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
	// exitUsage is for a command line that makes no sense.
	exitUsage = 2
	// exitForced is for a second signal while the gateway drains.
	exitForced = 130
)

// errReported ends with a failure that has been told already.
var errReported = errors.New("reported")

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signals()
	err := command().ExecuteContext(ctx)
	stop()
	var usage usageError
	switch {
	case err == nil:
	case errors.Is(err, errReported):
		os.Exit(exitFailed)
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "error: %v\nrun goma --help, or goma COMMAND --help, for what there is\n", err)
		os.Exit(exitUsage)
	default:
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
