// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// traffic is a client that never stops: half of it keeps its connections, the
// other half makes a new one for each request. Every request counts.
type traffic struct {
	t        *testing.T
	url      string
	edit     func(*http.Request)
	stop     context.CancelFunc
	workers  sync.WaitGroup
	started  time.Time
	mu       sync.Mutex
	requests int
	failures []string
	failed   int
}

// The rate of the traffic: 10 clients with 10 requests a second each.
const (
	clients  = 10
	interval = 100 * time.Millisecond
)

// begin starts the traffic. It has to answer 200 all the time.
func begin(t *testing.T, url string) *traffic {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c := &traffic{t: t, url: url, stop: stop, started: time.Now()}
	for i := range clients {
		client := &http.Client{
			Timeout:   10 * time.Second,
			Transport: &http.Transport{DisableKeepAlives: i%2 == 1, MaxIdleConnsPerHost: 1},
		}
		c.workers.Go(func() { c.run(ctx, client) })
	}
	t.Cleanup(func() { stop(); c.workers.Wait() })
	return c
}

func (c *traffic) run(ctx context.Context, client *http.Client) {
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c.count(c.ask(client))
	}
}

// ask does not end with the traffic: a request that was begun is finished.
func (c *traffic) ask(client *http.Client) error {
	resp, err := client.Get(c.url)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("status %d, body broken off: %w", resp.StatusCode, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %.200s", resp.StatusCode, body)
	}
	return nil
}

func (c *traffic) count(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if err == nil {
		return
	}
	if c.failed++; len(c.failures) < 10 {
		c.failures = append(c.failures, fmt.Sprintf("%s: %v", time.Since(c.started).Round(time.Millisecond), err))
	}
}

// end stops the traffic and fails the test if any request failed.
func (c *traffic) end(during string) {
	c.t.Helper()
	c.stop()
	c.workers.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t.Logf("%s: %d requests, %d failures in %s", during, c.requests, c.failed, time.Since(c.started).Round(time.Second))
	if c.failed > 0 {
		c.t.Errorf("%s: %d of %d requests failed: %q", during, c.failed, c.requests, c.failures)
	}
	if c.requests < 20 {
		c.t.Errorf("%s: only %d requests were made", during, c.requests)
	}
}
