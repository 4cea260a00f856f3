// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// web speaks with the interface of a provider.
type web struct {
	base string
	// sign adds credentials to a request, whose body it is given too.
	sign func(r *http.Request, body []byte) error
	http *http.Client
}

func newWeb(base string, sign func(*http.Request, []byte) error) *web {
	return &web{base: base, sign: sign, http: &http.Client{Timeout: 30 * time.Second, CheckRedirect: stay}}
}

// stay follows no redirect: credentials are for one host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// header signs with a header that is always the same.
func header(name, value string) func(*http.Request, []byte) error {
	return func(r *http.Request, _ []byte) error {
		r.Header.Set(name, value)
		return nil
	}
}

// failure is an answer that is no success.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return fmt.Sprintf("it answers %d: %s", f.status, f.text) }

// absent tells that something is not there.
func absent(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.status == http.StatusNotFound
}

const (
	maxAnswerBytes = 4 << 20
	maxFailure     = 300
)

// send sends a body, which may be nil, and gives the answer.
func (w *web) send(ctx context.Context, method, path, kind string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, w.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", kind)
	}
	r.Header.Set("User-Agent", "goma-gateway")
	if err := w.sign(r, body); err != nil {
		return nil, err
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return nil, plain(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		text := strings.Join(strings.Fields(string(data)), " ")
		return nil, &failure{resp.StatusCode, text[:min(len(text), maxFailure)]}
	}
	return data, nil
}

// plain leaves the query out of an error.
func plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// call sends JSON and reads JSON; in and out may be nil.
func (w *web) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	data, err := w.send(ctx, method, path, "application/json", body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("its answer is not understood: %w", err)
	}
	return nil
}
