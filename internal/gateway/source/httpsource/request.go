// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/source"
	"gateway.jkaninda.dev/goma/internal/gateway/source/webclient"
)

// maxBody is the largest answer that is read, after decoding; the parser takes no
// more either.
const maxBody = 32 << 20

// answer is what the server said.
type answer struct {
	// unchanged is a 304.
	unchanged  bool
	body       []byte
	validators validators
	// applied says that the server knows how to wait.
	applied bool
}

// waited tells whether the server has held its answer back, so that it can be
// asked again at once: it says so, or has taken most of the time it was given.
func (a *answer) waited(took, wait time.Duration) bool {
	return a.applied && (!a.unchanged || took >= wait/4) || a.unchanged && took >= wait*3/4
}

// request asks once.
func (f *fetcher) request(ctx context.Context, wait bool) (*answer, error) {
	r, err := f.build(ctx, wait)
	if err != nil {
		return nil, err
	}
	resp, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a := &answer{applied: strings.Contains(strings.ToLower(resp.Header.Get("Preference-Applied")), "wait")}
	switch resp.StatusCode {
	case http.StatusNotModified:
		if !f.have {
			return nil, errors.New("the server answers 304 to a request without a condition")
		}
		a.unchanged = true
		return a, nil
	case http.StatusOK:
		err = a.read(resp)
		return a, err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	return nil, refusal(resp)
}

// build makes the request. The user and password of the URL are a header, so that
// they are treated as one.
func (f *fetcher) build(ctx context.Context, wait bool) (*http.Request, error) {
	target := *f.endpoint
	user := target.User
	target.User, target.Fragment = nil, ""
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, errors.New("the URL cannot be used")
	}
	r.Header.Set("Accept", "application/json, application/yaml, application/x-yaml, text/yaml")
	r.Header.Set("User-Agent", f.agent)
	if user != nil {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	for name, values := range f.headers {
		if name == "Host" {
			r.Host = values[0]
			continue
		}
		r.Header[name] = values
	}
	if f.have {
		f.validators.condition(r.Header)
	}
	if wait {
		r.Header.Set("Prefer", "wait="+strconv.Itoa(int(f.wait/time.Second)))
	}
	return r, nil
}

// read takes the body of a 200.
func (a *answer) read(resp *http.Response) error {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media == "text/html" || media == "application/xhtml+xml" {
		return errors.New("the answer is a page of HTML; the URL leads to a login or an error page")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return fmt.Errorf("the answer breaks off: %w", webclient.Plain(err))
	case len(body) > maxBody:
		return fmt.Errorf("the answer has more than %d MiB", maxBody>>20)
	case len(bytes.TrimSpace(body)) == 0:
		return errors.New("the answer is empty; to take all away, answer with an empty list of routes")
	}
	a.body, a.validators = body, newValidators(resp.Header, body)
	return nil
}

// refusal is the error for any other status.
func refusal(resp *http.Response) error {
	hint := ""
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		hint = "; check the headers of the source"
	case http.StatusNotFound:
		hint = "; check the URL"
	}
	err := fmt.Errorf("the server answers %d %s%s", resp.StatusCode, http.StatusText(resp.StatusCode), hint)
	if after := retryAfter(resp.Header.Get("Retry-After")); after > 0 {
		return &source.Later{Err: err, After: after}
	}
	return err
}

// retryAfter reads seconds or a date; 0 when there is none.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 86400)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
