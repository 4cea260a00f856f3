// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/source/webclient"
)

// httpSession speaks the smart protocol over HTTP: each message is a request.
type httpSession struct {
	client             *webclient.Client
	base               *url.URL // without user information
	user, password     string
	agent              string
	leftHost           bool // a redirect led to a host that credentials are not for
	body               io.Closer
	maxGreeting, maxIn int64
}

func (s *httpSession) greeting(ctx context.Context) (io.Reader, error) {
	resp, err := s.do(ctx, http.MethodGet, "/info/refs?service=git-upload-pack", nil) //nolint:bodyclose // s.close does
	if err != nil {
		return nil, err
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media != "application/x-git-upload-pack-advertisement" {
		return nil, errors.New("the server does not speak the protocol of git; check the URL")
	}
	// A redirect to where the repository is now holds for what follows.
	final := *resp.Request.URL
	path, ok := strings.CutSuffix(final.EscapedPath(), "/info/refs")
	if !ok {
		return nil, errors.New("a redirect leads to something that is no repository")
	}
	moved := &url.URL{Scheme: final.Scheme, Host: final.Host}
	if err := setEscapedPath(moved, path); err != nil {
		return nil, errors.New("a redirect leads to something that is no repository")
	}
	s.leftHost = !webclient.SameHost(s.base, moved)
	s.base = moved
	return limited(resp.Body, s.maxGreeting), nil
}

func setEscapedPath(u *url.URL, escaped string) error {
	path, err := url.PathUnescape(escaped)
	u.Path, u.RawPath = path, escaped
	return err
}

func (s *httpSession) send(ctx context.Context, m *message, _ bool) (io.Reader, error) {
	resp, err := s.do(ctx, http.MethodPost, "/git-upload-pack", m.Bytes()) //nolint:bodyclose // s.close does
	if err != nil {
		return nil, err
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "application/x-git-upload-pack-result" {
		return nil, errors.New("the server does not speak the protocol of git; check the URL")
	}
	return limited(resp.Body, s.maxIn), nil
}

func (s *httpSession) do(ctx context.Context, method, suffix string, body []byte) (*http.Response, error) {
	s.close()
	r, err := http.NewRequestWithContext(ctx, method, s.base.String()+suffix, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL cannot be used")
	}
	r.Header.Set("Git-Protocol", "version=2")
	r.Header.Set("User-Agent", "git/"+s.agent) // some servers speak git only to git
	if body != nil {
		r.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		r.Header.Set("Accept", "application/x-git-upload-pack-result")
	}
	if !s.leftHost && (s.user != "" || s.password != "") {
		r.SetBasicAuth(s.user, s.password)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	s.body = resp.Body
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	hint := ""
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		hint = "; check gateway.providers.git.auth"
	case http.StatusNotFound:
		hint = "; check the URL, and whether the credentials may read the repository"
	}
	return nil, fmt.Errorf("the server answers %d %s%s", resp.StatusCode, http.StatusText(resp.StatusCode), hint)
}

func (s *httpSession) close() {
	if s.body != nil {
		_ = s.body.Close()
		s.body = nil
	}
}

// limited gives an error, and not an end, where more comes.
func limited(r io.Reader, n int64) io.Reader { return &limitedReader{r, n} }

type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLarge
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("the answer breaks off: %w", webclient.Plain(err))
	}
	return n, err
}
