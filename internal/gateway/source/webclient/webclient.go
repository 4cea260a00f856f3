// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package webclient makes the HTTP clients with which sources are read: with an
// authority and a client certificate of their own, and with credentials that do
// not leave the host that they are for.
package webclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// TLS is how a server is checked, and what it is shown. Each text is a path, PEM,
// or base64 of PEM.
type TLS struct {
	InsecureSkipVerify bool
	// RootCAs replace the authorities of the system.
	RootCAs string
	// ClientCert and ClientKey belong together.
	ClientCert, ClientKey string
}

// Client follows the files of its certificates: a change is used by the next
// connection.
type Client struct {
	tls  TLS
	http *http.Client
}

const maxRedirects = 5

// New makes a client. Secret names the headers that only the first host may see.
// Redirects are followed within https, or within http and from it to https.
func New(t TLS, secret ...string) *Client {
	c := &Client{tls: t}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  0, // the context bounds the whole exchange
		MaxIdleConns:           2,
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		return redirect(r, via, secret)
	}}
	return c
}

// redirect decides about a redirect. Headers come from the first request again at
// each hop, so the decision looks at the whole way. S3
func redirect(r *http.Request, via []*http.Request, secret []string) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	way := append(via[1:len(via):len(via)], r)
	for _, hop := range way {
		if via[0].URL.Scheme == "https" && hop.URL.Scheme != "https" {
			return errors.New("a redirect leads from https to " + hop.URL.Scheme)
		}
		if !SameHost(via[0].URL, hop.URL) {
			r.Header.Del("Authorization")
			r.Header.Del("Cookie")
			for _, name := range secret {
				r.Header.Del(name)
			}
		}
	}
	r.Header.Del("Referer")
	return nil
}

// SameHost compares scheme, host and port; https in place of http on the usual
// ports is the same host, more safely.
func SameHost(a, b *url.URL) bool {
	if !strings.EqualFold(a.Hostname(), b.Hostname()) {
		return false
	}
	if a.Scheme == b.Scheme {
		return port(a) == port(b)
	}
	return a.Scheme == "http" && port(a) == "80" && b.Scheme == "https" && port(b) == "443"
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// Do sends a request. The text of an error has neither credentials nor the port of
// this side.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if err := c.configure(); err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, Plain(err)
	}
	return resp, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// configure reads the certificates again where they are files. Connections that
// are open go on with what they began with.
func (c *Client) configure() error {
	if c.tls.RootCAs == "" && c.tls.ClientCert == "" {
		return nil
	}
	transport := c.http.Transport.(*http.Transport)
	next := transport.TLSClientConfig.Clone()
	if c.tls.RootCAs != "" {
		text, err := material(c.tls.RootCAs)
		if err != nil {
			return fmt.Errorf("the authority's certificate: %w", err)
		}
		next.RootCAs = x509.NewCertPool()
		if !next.RootCAs.AppendCertsFromPEM(text) {
			return errors.New("the authority's certificate: it holds no certificate in PEM")
		}
	}
	if c.tls.ClientCert != "" {
		cert, err := material(c.tls.ClientCert)
		if err != nil {
			return fmt.Errorf("the client certificate: %w", err)
		}
		key, err := material(c.tls.ClientKey)
		if err != nil {
			return fmt.Errorf("the key of the client certificate: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("the client certificate: %w", err)
		}
		next.Certificates = []tls.Certificate{pair}
	}
	if sameMaterial(transport.TLSClientConfig, next) {
		return nil
	}
	fresh := transport.Clone()
	fresh.TLSClientConfig = next
	c.http.Transport = fresh
	transport.CloseIdleConnections()
	return nil
}

func sameMaterial(a, b *tls.Config) bool {
	if (a.RootCAs == nil) != (b.RootCAs == nil) || a.RootCAs != nil && !a.RootCAs.Equal(b.RootCAs) {
		return false
	}
	if len(a.Certificates) != len(b.Certificates) {
		return false
	}
	for i := range a.Certificates {
		if string(a.Certificates[i].Certificate[0]) != string(b.Certificates[i].Certificate[0]) {
			return false
		}
	}
	return true
}

// material gives PEM text of one of the three spellings. The text itself is never
// part of an error.
func material(s string) ([]byte, error) {
	if strings.Contains(s, "-----BEGIN ") {
		return []byte(s), nil
	}
	if !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, ".") {
		compact := strings.Join(strings.Fields(s), "")
		if text, err := base64.StdEncoding.DecodeString(compact); err == nil && strings.Contains(string(text), "-----BEGIN ") {
			return text, nil
		}
	}
	if len(s) > 4096 || strings.Contains(s, "\n") {
		return nil, errors.New("it is neither a path nor PEM nor base64 of PEM")
	}
	return os.ReadFile(s)
}

// Plain gives an error without what changes from try to try or must not be seen:
// the URL with its user information and query, and the local port.
func Plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &op):
		if op.Addr != nil && op.Op == "dial" {
			return fmt.Errorf("connecting to %s: %w", op.Addr, op.Err)
		}
		return fmt.Errorf("the connection broke: %w", op.Err)
	}
	return err
}

// Shown gives a URL for messages: without user information, query and fragment.
func Shown(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "the configured URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Steady gives an error of the file system without the name of a temporary file.
func Steady(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s in %s: %w", path.Op, filepath.Dir(path.Path), path.Err)
	}
	return err
}
