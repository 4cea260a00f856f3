// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// dialTimeout is short: the other end is on this machine.
	dialTimeout = 2 * time.Second
	// callTimeout bounds a call whose context has no end.
	callTimeout = 15 * time.Second
)

// Client is the gateway's end. It is safe for concurrent use.
type Client struct{ http *http.Client }

// NewClient makes a client; it connects to nothing before the first call.
func NewClient(socket string) *Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		MaxIdleConns: 4, MaxIdleConnsPerHost: 4, IdleConnTimeout: 10 * time.Second,
		DisableCompression: true, MaxResponseHeaderBytes: 16 << 10,
	}}}
}

// Close ends connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Load gives a value; the error is fs.ErrNotExist when there is none. Under a lock it
// is the newest that there is.
func (c *Client) Load(ctx context.Context, key, lock string) ([]byte, error) {
	return c.value(ctx, http.MethodGet, key, lock, nil, nil)
}

// Save replaces a value at once. It may be forgotten after ttl.
func (c *Client) Save(ctx context.Context, key, lock string, value []byte, ttl time.Duration) error {
	if len(value) > MaxValueBytes {
		return fmt.Errorf("%w: it has %d bytes, and a Secret holds %d", ErrTooLarge, len(value), MaxValueBytes)
	}
	more := url.Values{"ttl": {strconv.FormatInt(int64(ttl/time.Second), 10)}}
	_, err := c.value(ctx, http.MethodPut, key, lock, more, value)
	return err
}

// Delete takes a value out. None is no error.
func (c *Client) Delete(ctx context.Context, key, lock string) error {
	_, err := c.value(ctx, http.MethodDelete, key, lock, nil, nil)
	return err
}

func (c *Client) value(ctx context.Context, method, key, lock string, query url.Values, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if query == nil {
		query = url.Values{}
	}
	query.Set("key", key)
	resp, err := c.send(ctx, method, pathValues, lock, query, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, MaxValueBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return data, nil
}

// send gives the answer to a request, or the error that it tells.
func (c *Client) send(ctx context.Context, method, path, lock string, query url.Values, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://store"+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the store: %w", err)
	}
	if lock != "" {
		r.Header.Set(headerLock, lock)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes)) // the status says the rest
	return nil, errorOf(resp.StatusCode, strings.TrimSpace(string(text)))
}

func errorOf(status int, text string) error {
	for _, s := range statuses {
		if s.status != status {
			continue
		}
		if text = strings.TrimPrefix(strings.TrimPrefix(text, s.err.Error()), ": "); text == "" {
			return s.err
		}
		return fmt.Errorf("%w: %s", s.err, text)
	}
	return fmt.Errorf("%w: status %d: %s", ErrUnavailable, status, text)
}

// Held is a lock that the client has.
type Held struct {
	// ID goes with what is done under the lock.
	ID string
	// Lost is closed when the lock has ended.
	Lost <-chan struct{}

	client *Client
	stop   context.CancelFunc
}

// TryLock takes a lock; nil is for one that somebody else has.
func (c *Client) TryLock(ctx context.Context, name string) (*Held, error) {
	holding, stop := context.WithCancel(context.WithoutCancel(ctx))
	asking, answered := context.WithTimeout(ctx, callTimeout)
	defer answered()
	detach := context.AfterFunc(asking, stop)
	resp, err := c.send(holding, http.MethodPost, pathLocks, "", url.Values{"name": {name}}, nil) //nolint:bodyclose // the goroutine below does
	if err == nil && !detach() {
		resp.Body.Close()
		err = fmt.Errorf("%w: %w", ErrUnavailable, asking.Err())
	}
	if err != nil {
		stop()
		if errors.Is(err, errLocked) {
			err = nil
		}
		return nil, err
	}
	lost := make(chan struct{})
	go func() {
		defer close(lost)
		_, _ = io.Copy(io.Discard, resp.Body) // its end, whatever it is, is the end of the lock
		resp.Body.Close()
	}()
	return &Held{ID: resp.Header.Get(headerLock), Lost: lost, client: c, stop: stop}, nil
}

// releaseTimeout is how long the other end may take to give back a lock; after that it
// notices the end of the connection.
const releaseTimeout = 5 * time.Second

// Release gives the lock back.
func (h *Held) Release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	resp, err := h.client.send(ctx, http.MethodDelete, pathLocks, h.ID, url.Values{}, nil)
	if err == nil {
		resp.Body.Close()
	}
	h.stop()
	<-h.Lost
}
