// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

func TestLimitsOfARouteComeBeforeThoseOfTheGateway(t *testing.T) { // C7
	t.Parallel()
	g := registry(t, Settings{Networking: config.Networking{Transport: config.Transport{ResponseHeaderTimeout: 5}}})
	r := target("http://a")
	if got := acquire(t, g, r).endpoints[0].limits; got != (limits{head: 5 * time.Second}) {
		t.Errorf("without limits of its own: %+v", got)
	}
	r.Timeouts = &config.RouteTimeouts{Connect: 1, ResponseHeader: 2, Idle: 3, Total: 4}
	if got := acquire(t, g, r).endpoints[0].limits; got != (limits{1, 2, 3, 4}) {
		t.Errorf("with limits of its own: %+v", got)
	}
}

func TestConnectingHasALimit(t *testing.T) { // U4
	t.Parallel()
	for _, scheme := range []string{"http", "h2c"} {
		r := target(scheme + "://192.0.2.1:81")
		r.Timeouts = &config.RouteTimeouts{Connect: 1}
		c := acquire(t, registry(t, Settings{}), r)
		_, _, err := ask(t, c)
		if _, unconnected := errors.AsType[*ConnectError](err); !unconnected {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

func TestTimeInTheQueueCounts(t *testing.T) { // U3, U8
	t.Parallel()
	s := play(t, plainAnswer)
	r := target(s.address)
	r.Timeouts = &config.RouteTimeouts{Total: config.Duration(30 * time.Millisecond)}
	g := registry(t, Settings{Networking: config.Networking{Transport: config.Transport{MaxConnsPerHost: new(1)}}})
	e := acquire(t, g, r).endpoints[0]
	now := time.Now()
	first, err := e.Connect(&exchange.Interest{}, now, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.ConnectBy(&exchange.Interest{}, now, false, e.Deadline(now)); !errors.Is(err, errTotal) {
		t.Errorf("%v", err)
	}
	first.Drop()
}

func TestAConnectionIsUsedAgainOnlyBeforeItsDeadline(t *testing.T) { // U3, H6
	t.Parallel()
	s := play(t, plainAnswer)
	g := registry(t, Settings{})
	with, without := target(s.address), target(s.address)
	with.Timeouts = &config.RouteTimeouts{ResponseHeader: config.Duration(time.Millisecond * 200), Idle: config.Duration(time.Millisecond * 200)}
	limited, free := acquire(t, g, with), acquire(t, g, without)
	for range 2 {
		if _, _, err := ask(t, limited); err != nil {
			t.Fatal(err)
		}
		// A limit of one route must not strike in a request of another.
		c, err := free.endpoints[0].Connect(&exchange.Interest{}, time.Now(), false)
		if err != nil {
			t.Fatal(err)
		}
		if c.limits.head != 0 {
			t.Fatal("it has the limits of another route")
		}
		c.Out = append(c.Out[:0], "GET / HTTP/1.1\r\nHost: a\r\n\r\n"...)
		if err := c.Send(time.Now(), true); err != nil {
			t.Fatal(err)
		}
		if err := c.ReadHead(http.MethodGet); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Body.Whole(); !ok {
			t.Fatal("the body has not come")
		}
		c.Release()
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	c, err := free.endpoints[0].ConnectBy(&exchange.Interest{}, time.Now(), false, time.Now().Add(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deadline strikes", c.expired.Load)
	if err := c.ReadHead(http.MethodGet); !errors.Is(err, errTotal) || errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	c.Release()
	if n := len(free.endpoints[0].conns.idle); n != 0 {
		t.Error("a connection that was cut is kept")
	}
}
