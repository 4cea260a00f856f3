// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

const (
	// maxQueuedRecords bounds what waits for a slow collector.
	maxQueuedRecords = 4096
	maxBatch         = 512
	batchPause       = 2 * time.Second
	exportTimeout    = 10 * time.Second
	// attempts is how often a batch is sent, with pauses that double.
	attempts   = 4
	retryPause = time.Second
)

// exporter sends spans to a collector, in a goroutine of its own. When the queue is
// full, spans are dropped and counted: nothing waits for a collector.
type exporter struct {
	url     string
	headers map[string]config.Secret
	scope   scope
	client  *http.Client
	log     *slog.Logger

	exported, lost atomic.Uint64

	wake     chan struct{}
	stop     chan struct{}
	stopOnce sync.Once
	done     chan struct{}
	pause    time.Duration

	mu    sync.Mutex
	queue []record

	// failing belongs to the goroutine: an outage is told once.
	failing bool
}

func newExporter(o TracerOptions) (*exporter, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the endpoint of traces is no URL like http://collector:4318")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e := &exporter{
		url: u.String(), headers: o.Headers, scope: scope{o.Service, o.Version}, log: o.Logger,
		client: &http.Client{
			Timeout:       exportTimeout,
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), pause: batchPause,
	}
	go e.run()
	return e, nil
}

// add queues the spans of a request.
func (e *exporter) add(r record) {
	e.mu.Lock()
	if len(e.queue) >= maxQueuedRecords {
		e.mu.Unlock()
		e.lost.Add(r.spans())
		return
	}
	e.queue = append(e.queue, r)
	full := len(e.queue) == maxBatch
	e.mu.Unlock()
	if full {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
}

// take gives the next batch.
func (e *exporter) take() []record {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.queue), maxBatch)
	batch := append([]record(nil), e.queue[:n]...)
	e.queue = e.queue[:copy(e.queue, e.queue[n:])]
	return batch
}

// closeTime is what the end of the process waits for a collector.
const closeTime = 2 * time.Second

func (e *exporter) close() {
	e.stopOnce.Do(func() { close(e.stop) })
	<-e.done
}

func (e *exporter) run() {
	defer close(e.done)
	defer e.client.CloseIdleConnections()
	ticker := time.NewTicker(e.pause)
	defer ticker.Stop()
	for {
		select {
		case <-e.stop:
			ctx, cancel := context.WithTimeout(context.Background(), closeTime)
			defer cancel()
			for batch := e.take(); len(batch) > 0; batch = e.take() {
				e.finish(batch, e.safely(ctx, batch))
			}
			return
		case <-e.wake:
		case <-ticker.C:
		}
		for batch := e.take(); len(batch) > 0; batch = e.take() {
			e.finish(batch, e.insist(batch))
			if e.failing {
				break
			}
		}
	}
}

// insist sends a batch, again after errors that may pass.
func (e *exporter) insist(batch []record) (err error) {
	pause := retryPause
	for range attempts {
		var fatal *errExport
		if err = e.safely(context.Background(), batch); err == nil || errors.As(err, &fatal) && !fatal.passes() {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-e.stop:
			timer.Stop()
			return err
		}
		pause *= 2
	}
	return err
}

// finish counts a batch, and tells of the first one of an outage.
func (e *exporter) finish(batch []record, err error) {
	n := uint64(0)
	for i := range batch {
		n += batch[i].spans()
	}
	if err == nil {
		e.exported.Add(n)
		if e.failing {
			e.log.Info("traces are exported again")
		}
		e.failing = false
		return
	}
	e.lost.Add(n)
	if !e.failing {
		e.log.Warn("traces cannot be exported and are dropped", "err", err)
	}
	e.failing = true
}

// safely keeps a panic from ending the process. E5
func (e *exporter) safely(ctx context.Context, batch []record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while exporting traces: %v", p)
		}
	}()
	return e.send(ctx, batch)
}

func (e *exporter) send(ctx context.Context, batch []record) error {
	body, err := encodeSpans(e.scope, batch)
	if err != nil {
		return fmt.Errorf("encoding traces: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("exporting traces: %w", err)
	}
	for name, value := range e.headers {
		r.Header.Set(name, value.Reveal())
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := e.client.Do(r)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err // a URL may hold credentials
		}
		return fmt.Errorf("exporting traces: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // the status says it all
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	if resp.StatusCode/100 != 2 {
		return &errExport{resp.StatusCode}
	}
	return nil
}

// errExport is a collector that does not take a batch.
type errExport struct{ status int }

func (e *errExport) Error() string { return fmt.Sprintf("exporting traces: status %d", e.status) }

// passes tells the statuses after which a batch is sent again, by the rules of OTLP.
func (e *errExport) passes() bool {
	switch e.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
