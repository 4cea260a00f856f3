// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"net/http"
	"time"
)

// How often, and how patiently, the gateway is asked whether it still lives.
const (
	askEvery   = 200 * time.Millisecond
	askTimeout = 2 * time.Second
)

// outlast gives a context that ends after another: when the delay is over, or,
// where it can be told, when the gateway has gone. K5
func outlast(ctx context.Context, delay time.Duration, alive func(context.Context) bool) (context.Context, context.CancelFunc) {
	longer, stop := context.WithCancel(context.WithoutCancel(ctx))
	detach := context.AfterFunc(ctx, func() {
		defer stop()
		if delay <= 0 {
			return
		}
		bounded, cancel := context.WithTimeout(longer, delay)
		defer cancel()
		if alive == nil {
			<-bounded.Done()
			return
		}
		ticker := time.NewTicker(askEvery)
		defer ticker.Stop()
		for alive(bounded) {
			select {
			case <-bounded.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return longer, func() { detach(); stop() }
}

// answering tells whether anybody answers at a URL, whatever the answer is. It is
// nil without a URL.
func answering(url string) func(context.Context) bool {
	if url == "" {
		return nil
	}
	client := &http.Client{Timeout: askTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) bool {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		resp, err := client.Do(r)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return true
	}
}
