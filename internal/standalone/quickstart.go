// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"time"
)

//go:embed quickstart.yaml
var quickstart []byte

// The name of the built-in manifests, and the backend that they send requests to.
const (
	quickstartName   = "quickstart.yaml"
	quickstartTarget = "echo.default.svc.cluster.local:8080"
)

// quickstart makes the options those of the built-in example and starts its
// backend on a free port of the loopback interface.
func (o *Options) quickstart() (stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // binds at once
	if err != nil {
		return nil, fmt.Errorf("starting the built-in backend: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	o.Paths, o.Stdin = []string{Stdin}, bytes.NewReader(quickstart)
	o.stdinName = quickstartName
	resolve := map[string]string{quickstartTarget: listener.Addr().String()}
	for from, to := range o.Resolve {
		resolve[from] = to
	}
	o.Resolve = resolve
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-done
	}, nil
}
