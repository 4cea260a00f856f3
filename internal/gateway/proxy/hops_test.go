// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/upstream"
)

func TestEachGatewayCountsItselfAndLoopsEnd(t *testing.T) { // U7
	t.Parallel()
	seen := make(chan []string, 1)
	backend := serveBackend(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Values(hopsHeader) })
	h2c := newFront(t, config.Route{}, backend.URL, upstream.Settings{})
	for name, c := range map[string]struct {
		sent []string
		want string
	}{
		"the first gateway":             {nil, "1"},
		"the next":                      {[]string{"1"}, "2"},
		"the last":                      {[]string{"9"}, "10"},
		"one too many":                  {[]string{"10"}, ""},
		"many too many":                 {[]string{"18446744073709551617"}, ""},
		"what is no number":             {[]string{"-1"}, ""},
		"the highest of several counts": {[]string{"1", "10"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var header []string
			for _, value := range c.sent {
				header = append(header, strings.ToLower(hopsHeader), value)
			}
			check := func(t *testing.T, client *visitor, more int) {
				resp, _ := client.get(header...)
				if c.want == "" {
					if resp.StatusCode != http.StatusLoopDetected {
						t.Errorf("got %s", resp.Status)
					}
					return
				}
				if more > 0 {
					<-seen
					return
				}
				if got := <-seen; resp.StatusCode != http.StatusOK || len(got) != 1 || got[0] != c.want {
					t.Errorf("got %s, the backend saw %v, want %s", resp.Status, got, c.want)
				}
			}
			r := config.Route{Name: "r", Path: "/", Target: backend.URL}
			check(t, dialed(t, directly(t, &r)), 0)
			check(t, dialed(t, newFront(t, r, "", upstream.Settings{}).Listener.Addr().String()), 0)
			if c.want == "10" {
				return // there is one gateway more on this way
			}
			over := config.Route{Target: strings.Replace(h2c.URL, "http:", "h2c:", 1)}
			check(t, dialed(t, newFront(t, over, "", upstream.Settings{}).Listener.Addr().String()), 1)
		})
	}
}

func TestAGatewayThatIsItsOwnBackendAnswersALoop(t *testing.T) { // U7
	t.Parallel()
	var f *front
	var served atomic.Int32
	turn := serveBackend(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		r.URL.Host, r.URL.Scheme, r.RequestURI = f.Listener.Addr().String(), "http", ""
		resp, err := f.Client().Transport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
	})
	f = newFront(t, config.Route{}, turn.URL, upstream.Settings{})
	if resp := f.get("/"); resp.StatusCode != http.StatusLoopDetected || served.Load() != maxHops {
		t.Errorf("%s after %d rounds", resp.Status, served.Load())
	}
	if reason := f.exchange.Load().Reason; reason != "loop" && reason != "" {
		t.Errorf("reason %q", reason)
	}
}
