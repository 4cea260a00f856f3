// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

// slow is a backend that pauses before its head, or between the parts of its body,
// for as long as the path says.
func slow(t *testing.T, before, between time.Duration, parts int) string {
	t.Helper()
	return serveBackend(t, func(w http.ResponseWriter, r *http.Request) {
		pause := func(d time.Duration) {
			select {
			case <-r.Context().Done():
			case <-time.After(d):
			}
		}
		pause(before)
		for range parts {
			_, _ = io.WriteString(w, "part ")
			_ = http.NewResponseController(w).Flush()
			pause(between)
		}
	}).URL
}

const long = 20 * time.Second

// outcome is the status, or what became of an answer that was begun.
func (c *visitor) outcome() string {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, "GET /p?u=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "broken off"
	case resp.StatusCode != http.StatusOK:
		return resp.Status[:3]
	}
	return string(data)
}

func TestTimeoutsOfARoute(t *testing.T) { // U4, U3
	t.Parallel()
	span := func(d time.Duration) config.Duration { return config.Duration(d) }
	const short = 50 * time.Millisecond
	for name, c := range map[string]struct {
		backend  string
		timeouts config.RouteTimeouts
		want     string
	}{
		"a head that does not come":       {slow(t, long, 0, 1), config.RouteTimeouts{ResponseHeader: span(short)}, "504"},
		"a head that comes":               {slow(t, 0, 0, 1), config.RouteTimeouts{ResponseHeader: span(long)}, "part "},
		"a body is not a head":            {slow(t, 0, 400*time.Millisecond, 4), config.RouteTimeouts{ResponseHeader: span(short)}, "part part part part "},
		"a pause":                         {slow(t, 0, long, 2), config.RouteTimeouts{Idle: span(short)}, "broken off"},
		"progress":                        {slow(t, 0, 20*time.Millisecond, 20), config.RouteTimeouts{Idle: span(10 * time.Second)}, strings.Repeat("part ", 20)},
		"all that takes too long":         {slow(t, long, 0, 1), config.RouteTimeouts{Total: span(short)}, "504"},
		"a stream that takes too long":    {slow(t, 0, 10*time.Millisecond, 2000), config.RouteTimeouts{Total: span(200 * time.Millisecond)}, "broken off"},
		"all in time":                     {slow(t, 0, 10*time.Millisecond, 3), config.RouteTimeouts{Total: span(long)}, "part part part "},
		"a pause before the head is none": {slow(t, 300*time.Millisecond, 0, 1), config.RouteTimeouts{Idle: span(time.Millisecond)}, "part "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			route := config.Route{Target: c.backend, Timeouts: &c.timeouts}
			bothWays(t, route, func(t *testing.T, client *visitor) {
				if got := client.outcome(); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
			t.Run("HTTP/2", func(t *testing.T) {
				t.Parallel()
				between := newFront(t, config.Route{}, c.backend, upstream.Settings{}) // it speaks h2c
				over := config.Route{Target: strings.Replace(between.URL, "http:", "h2c:", 1), Timeouts: &c.timeouts}
				f := newFront(t, over, "", upstream.Settings{})
				if got := dialed(t, f.Listener.Addr().String()).outcome(); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}
