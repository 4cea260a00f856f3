// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestBodiesAndTrailersPassBothWays(t *testing.T) {
	t.Parallel()
	f := behind(t, config.Route{}, func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Trailer", "X-Sum")
		_, _ = fmt.Fprintf(w, "%d %v %s", len(data), r.TransferEncoding, r.Trailer.Get("X-Client"))
		if r.Trailer.Get("X-Forwarded-For") != "" {
			t.Error("a forged trailer arrived") // P6
		}
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL, io.MultiReader(strings.NewReader("abc"), bytes.NewReader(make([]byte, 1<<20))))
	if err != nil {
		t.Fatal(err)
	}
	r.Trailer = http.Header{"X-Client": {"c"}, "X-Forwarded-For": {"forged"}}
	resp, err := f.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read
	if got := body(t, resp); got != "1048579 [chunked] c" {
		t.Errorf("got %s", got)
	}
	if resp.Trailer.Get("X-Sum") != "1" || resp.Trailer.Get("X-Late") != "2" {
		t.Errorf("trailers %v", resp.Trailer)
	}
}

func TestAMalformedBodyIsTheClientsFault(t *testing.T) { // H2
	t.Parallel()
	f := behind(t, config.Route{}, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	answer := f.raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\nzz\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
		t.Errorf("answer %q", answer)
	}
}

func TestAnEarlyRefusalReachesAClientThatStillSends(t *testing.T) { // H11
	t.Parallel()
	f := behind(t, config.Route{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL, bytes.NewReader(make([]byte, 64<<10)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

var errTest = errors.New("test")

func TestTheBodysOwnErrorIsTheOneToBlame(t *testing.T) {
	t.Parallel()
	b := &requestBody{src: io.NopCloser(io.MultiReader(strings.NewReader("x"), failing{}))}
	_, _ = io.Copy(io.Discard, b)
	var own *errBody
	if err := b.blame(io.ErrUnexpectedEOF); !errors.As(err, &own) || !errors.Is(err, errTest) {
		t.Errorf("blamed %v", err)
	}
	if err := (&requestBody{}).blame(io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("blamed %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errTest }
