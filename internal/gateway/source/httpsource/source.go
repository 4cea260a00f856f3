// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package httpsource reads routes and middlewares from a URL.
//
// The server is asked with what it said of its last answer, so that an unchanged
// one costs a few bytes. Only a document of routes and middlewares replaces
// another: a page of an error, an empty body or an object of something else does
// not. The last good document is kept on disk, for a start while the server is
// away.
package httpsource

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
	"gateway.jkaninda.dev/goma/internal/gateway/source/lastgood"
	"gateway.jkaninda.dev/goma/internal/gateway/source/webclient"
)

const field = "gateway.providers.http.endpoint"

// fetcher asks one URL. It is used by one goroutine at a time.
type fetcher struct {
	endpoint *url.URL
	origin   string // for messages and the file on disk
	headers  http.Header
	timeout  time.Duration
	wait     time.Duration
	cache    string
	agent    string
	parse    source.Parser
	client   *webclient.Client

	// validators are of the document that was received last and is in use.
	validators validators
	have       bool
	// restored is that document until the server has confirmed it.
	restored *lastgood.Record
}

// New makes the source of a setting to which defaults have been applied and which
// has passed the checks.
func New(p *config.HTTPProvider, version string, parse source.Parser) (*source.Remote, error) {
	endpoint, err := url.Parse(p.Endpoint)
	if err != nil || endpoint.Host == "" {
		return nil, errors.New(field + " is not a URL") // the error of url.Parse has all of it
	}
	f := &fetcher{
		endpoint: endpoint, origin: webclient.Shown(p.Endpoint), headers: http.Header{}, timeout: p.Timeout.Std(), wait: p.Wait.Std(),
		cache: CacheFile(p.CacheDir), agent: "goma-gateway/" + version, parse: parse,
	}
	var secret []string
	for name, value := range p.Headers {
		// A credential whose variable is not set is empty.
		if value != "" {
			f.headers.Set(name, value.Reveal())
			secret = append(secret, name)
		}
	}
	t := webclient.TLS{InsecureSkipVerify: p.InsecureSkipVerify}
	if p.TLS != nil {
		t.InsecureSkipVerify = t.InsecureSkipVerify || p.TLS.InsecureSkipVerify
		t.RootCAs, t.ClientCert, t.ClientKey = p.TLS.RootCAs, p.TLS.ClientCert, p.TLS.ClientKey.Reveal()
	}
	f.client = webclient.New(t, secret...)
	return source.NewRemote(source.RemoteOptions{
		Name: "http", Kind: config.SourceHTTP, Origin: f.origin, Field: field,
		Interval: p.Interval.Std(), Attempts: *p.RetryAttempts, RetryDelay: p.RetryDelay.Std(),
	}, f), nil
}

// CacheFile gives the path of the file on disk: that of the setting, which may be a
// folder, or one for temporary files.
func CacheFile(setting string) string {
	if setting == "" {
		return filepath.Join(os.TempDir(), "goma", "cache", "config.json")
	}
	if info, err := os.Stat(setting); err == nil && info.IsDir() || strings.HasSuffix(setting, "/") {
		return filepath.Join(setting, "config.json")
	}
	return setting
}

// Restore implements source.Fetcher.
func (f *fetcher) Restore() (*source.Content, error) {
	record, err := lastgood.Load(f.cache, f.origin)
	if err != nil || record == nil {
		return nil, err
	}
	bundle, problems, err := f.read(record.Documents[document])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.cache, err)
	}
	f.restored, f.have = record, true
	f.validators = validatorsOf(record)
	return &source.Content{
		Bundle: bundle, Problems: problems, Checksum: f.validators.checksum, Confirmed: record.Confirmed,
	}, nil
}

// Close implements source.Fetcher.
func (f *fetcher) Close() { f.client.Close() }

// Fetch implements source.Fetcher.
func (f *fetcher) Fetch(ctx context.Context, wait bool) (source.Fetched, error) {
	wait = wait && f.wait > 0 && f.have
	limit := f.timeout
	if wait {
		limit += f.wait
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	answer, err := f.request(ctx, wait)
	if err != nil {
		return source.Fetched{}, err
	}
	out := source.Fetched{Again: wait && answer.waited(time.Since(began), f.wait)}
	if answer.unchanged || f.have && answer.validators.checksum == f.validators.checksum {
		f.confirm(&out, answer)
		return out, nil
	}
	bundle, problems, err := f.read(answer.body)
	if err != nil {
		return source.Fetched{}, err
	}
	f.validators, f.have, f.restored = answer.validators, true, nil
	out.Content = &source.Content{Bundle: bundle, Problems: problems, Checksum: f.validators.checksum}
	out.Problems = f.keep(lastgood.Record{
		Origin: f.origin, Confirmed: time.Now(), Values: f.validators.values(), Documents: map[string][]byte{document: answer.body},
	})
	return out, nil
}

// confirm notes that what is in use is the newest.
func (f *fetcher) confirm(out *source.Fetched, answer *answer) {
	if !answer.unchanged {
		f.validators = answer.validators
	}
	if f.restored != nil {
		f.restored.Confirmed, f.restored.Values = time.Now(), f.validators.values()
		out.Problems = f.keep(*f.restored)
		f.restored = nil
	}
}

// document is the name of the one document in the file on disk.
const document = "bundle"

// keep writes the file. A disk that is full is no reason not to serve.
func (f *fetcher) keep(r lastgood.Record) []config.Problem {
	err := lastgood.Save(f.cache, r)
	if err == nil {
		return nil
	}
	return []config.Problem{{
		Object: config.ObjectRef{Kind: "Gateway"}, Field: "gateway.providers.http.cacheDir", Reason: config.ReasonUnreadable,
		Severity: config.SeverityWarning,
		Message: fmt.Sprintf("the last good answer cannot be kept: %v; a gateway that starts while the server is away "+
			"will have no routes of it; name a file in a folder that it may write to", webclient.Steady(err)),
	}}
}

// read makes a Bundle of a body, and refuses what is none. S3
func (f *fetcher) read(body []byte) (*config.Bundle, []config.Problem, error) {
	bundle, problems, err := f.parse(f.origin, body)
	if err != nil {
		return nil, nil, fmt.Errorf("the answer cannot be used: %w", err)
	}
	if bundle.Routes == nil && bundle.Middlewares == nil {
		return nil, nil, errors.New("the answer has neither routes nor middlewares; to take all away, answer with an empty list of routes")
	}
	return bundle, problems, nil
}
