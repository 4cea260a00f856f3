// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Connections change to websocket, and to the protocols that are configured, in any
// case; to nothing else, whatever the client asks for.
func TestConnectionsChangeToConfiguredProtocolsOnly(t *testing.T) { // H5
	t.Parallel()
	for _, way := range []string{"handler", "middleware"} {
		for token, tunnelled := range map[string]bool{
			"websocket": true, "WebSocket": true, "Mqtt": true, "MQTT": true, "spdy/3.1": true, "SPDY/3.1": true,
			"h2c": false, "spdy": false, "mqtt/5": false, "mqtt, websocket": false, "other": false,
		} {
			t.Run(way+"/"+token, func(t *testing.T) {
				t.Parallel()
				far := wired(t, func(c *peer, _ int) {
					for {
						head := c.request()
						if head == "" {
							return
						}
						if !strings.Contains(head, "\r\nUpgrade: ") {
							c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
							continue
						}
						c.say(fmt.Sprintf("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", strings.ToLower(token)))
						_, _ = io.Copy(c, c.in)
						return
					}
				})
				e := newEngine(t, way, far.url(), engineOptions{point: config.EntryPoint{Upgrades: []string{"mqtt", "SPDY/3.1"}}})
				c := e.dial()
				c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", token)
				if !tunnelled {
					if resp, _ := c.answer("GET"); resp.StatusCode != 200 {
						t.Errorf("%d", resp.StatusCode)
					}
					return
				}
				if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 101 ") {
					t.Fatalf("%q", got)
				}
				c.send("through")
				c.read("through")
			})
		}
	}
}
