// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// HTTP are the settings of a client. They are comparable, to be part of the key of
// shared state.
type HTTP struct {
	Trust
	// Timeout bounds a call, its body included.
	Timeout time.Duration
	// Proxied calls go through the proxy that the environment names.
	Proxied bool
}

// The bounds of what a server may answer. An auth answer, a key set and a token
// are all far smaller.
const (
	maxHeaderBytes = 64 << 10
	// MaxBodyBytes is the largest body that is read; a longer one is an error.
	MaxBodyBytes = 1 << 20
)

// ErrTooLong is the error of reading more than MaxBodyBytes.
var ErrTooLong = errors.New("the answer is too long")

// Client is an HTTP client with connections of its own. It gives redirects to its
// caller.
type Client struct{ *http.Client }

// NewClient makes a client. It fails as Trust.Config does.
func NewClient(s HTTP) (*Client, error) {
	c, err := s.Config()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: min(5*time.Second, s.Timeout), KeepAlive: 30 * time.Second}
	t := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: c, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: s.Timeout, IdleConnTimeout: 60 * time.Second,
		MaxIdleConns: 256, MaxIdleConnsPerHost: 256, MaxResponseHeaderBytes: maxHeaderBytes,
	}
	if s.Proxied {
		t.Proxy = http.ProxyFromEnvironment
	}
	return &Client{&http.Client{
		Transport: bounded{t}, Timeout: s.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.CloseIdleConnections() }

// bounded limits the bodies of answers.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = &body{ReadCloser: resp.Body, left: MaxBodyBytes}
	}
	return resp, err
}

type body struct {
	io.ReadCloser

	left int64
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLong
	}
	return n, err
}

// maxCauseBytes of an error are enough to tell what went wrong: some libraries put
// all of an answer into theirs.
const maxCauseBytes = 300

// Cause gives what went wrong in a call, to be shown: without its URL, which may hold
// a code or a token. B5
func Cause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	if text := err.Error(); len(text) > maxCauseBytes {
		return errors.New(strings.ToValidUTF8(text[:maxCauseBytes], "") + "…")
	}
	return err
}
