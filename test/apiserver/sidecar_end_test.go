// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// K5: told to stop together with its gateway, the sidecar goes on delivering while
// the gateway answers, though not ready any more, and ends when it has gone.
func TestSidecarDeliversUntilItsGatewayHasGone(t *testing.T) {
	t.Parallel()
	s := newSidecarScene(t)
	asked := make(chan struct{})
	once := sync.OnceFunc(func() { close(asked) })
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		once()
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer gateway.Close()
	o := s.sidecarDirs()
	o.StopDelay, o.GatewayHealth = 10*sidecarPatience, gateway.URL
	c := s.start(o)
	s.create(s.route("a", "http://a"))
	c.wait(map[string]string{"a": "http://a"})

	ended := make(chan struct{})
	go func() {
		c.stop()
		close(ended)
	}()
	select {
	case <-asked: // only a sidecar that was told to stop asks
	case <-time.After(sidecarPatience):
		t.Fatal("nobody asks whether the gateway is still there")
	}
	s.create(s.route("b", "http://b"))
	c.wait(map[string]string{"a": "http://a", "b": "http://b"})
	select {
	case <-ended:
		t.Fatal("the sidecar ended before its gateway")
	default:
	}
	gateway.Close()
	select {
	case <-ended:
	case <-time.After(sidecarPatience):
		t.Fatal("the sidecar does not notice that its gateway has gone")
	}
}
