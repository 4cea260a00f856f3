// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package protocols

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

// large is the size of a body that fits into no buffer.
const large = 100 << 20

// noise gives bytes that are the same each time.
func noise(size int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{7}), size) }

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// depot is a backend that takes and gives bodies, and tells what a request was like.
func depot(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	switch r.URL.Path {
	case "/large":
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.Copy(w, noise(large))
	case "/trailers":
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "after all")
	default:
		fmt.Fprintf(w, "%s length=%d bytes=%d sum=%s expect=%q", r.Method, r.ContentLength, n, sum(h), r.Header.Get("Expect"))
	}
}

func TestCurl(t *testing.T) { // H7
	t.Parallel()
	g := serve(t, to(backend(t, depot).URL))
	file := filepath.Join(t.TempDir(), "upload")
	data, err := io.ReadAll(noise(300_000))
	must(t, err)
	must(t, os.WriteFile(file, data, 0o600))
	digest := sha256.Sum256(data)
	uploaded := "bytes=300000 sum=" + hex.EncodeToString(digest[:])
	web, secure := "http://"+g.Web+"/x", "https://"+g.Secure+"/x"
	for name, c := range map[string]struct {
		args []string
		want []string
		not  string
	}{
		"HTTP/1.0": {[]string{"--http1.0", "-v", web}, []string{"GET length=0", "< Connection: close", "< HTTP/1.1 200"}, "chunked"},
		"HTTP/1.0, kept alive": {[]string{"--http1.0", "-v", "-H", "Connection: keep-alive", web, web},
			[]string{"GET length=0", "< Connection: keep-alive", "e-using existing"}, "chunked"},
		"HTTP/1.1, kept alive": {[]string{"--http1.1", "-v", web, web}, []string{"GET length=0", "e-using existing"}, "Connection: close"},
		"100-continue": {[]string{"--http1.1", "-v", "-H", "Expect: 100-continue", "--expect100-timeout", "60", "-T", file, web},
			[]string{"< HTTP/1.1 100 Continue", "PUT length=300000 " + uploaded}, ""},
		"a body in chunks":            {[]string{"--http1.1", "-H", "Transfer-Encoding: chunked", "-T", file, web}, []string{"PUT length=-1 " + uploaded}, ""},
		"trailers":                    {[]string{"--http1.1", "-i", "-H", "TE: trailers", "http://" + g.Web + "/trailers"}, []string{"Trailer: X-Sum", "X-Sum: after all"}, ""},
		"HTTP/1.1 over TLS":           {[]string{"--http1.1", "-k", "-T", file, secure}, []string{"PUT length=300000 " + uploaded}, ""},
		"HTTP/2 by ALPN":              {[]string{"--http2", "-v", "-k", "-T", file, secure}, []string{"< HTTP/2 200", "PUT length=300000 " + uploaded}, ""},
		"HTTP/2 with prior knowledge": {[]string{"--http2-prior-knowledge", "-v", "-T", file, web}, []string{"< HTTP/2 200", "PUT length=300000 " + uploaded}, ""},
		"Upgrade: h2c":                {[]string{"--http2", "-v", web}, []string{"< HTTP/1.1 200", "GET length=0"}, "101"}, // H5
		"HEAD":                        {[]string{"-I", web}, []string{"HTTP/1.1 200"}, "GET"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := tool(t, nil, "curl", append([]string{"-sS", "--max-time", "60", "--noproxy", "*"}, c.args...)...)
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("there is no %q in\n%s", want, out)
				}
			}
			if c.not != "" && strings.Contains(out, c.not) {
				t.Errorf("there is %q in\n%s", c.not, out)
			}
		})
	}
}

// HTTP/2 carries bodies of any size, both ways, byte for byte.
func TestLargeBodiesOverHTTP2(t *testing.T) { // H10
	t.Parallel()
	g := serve(t, to(backend(t, depot).URL))
	h := sha256.New()
	file, err := os.Create(filepath.Join(t.TempDir(), "large"))
	must(t, err)
	_, err = io.Copy(io.MultiWriter(h, file), noise(large))
	must(t, err)
	must(t, file.Close())
	for _, way := range [][]string{{"--http2", "-k", "https://" + g.Secure}, {"--http2-prior-knowledge", "http://" + g.Web}} {
		options, address := way[:len(way)-1], way[len(way)-1]
		args := append([]string{"-sS", "--noproxy", "*", "--max-time", "100"}, options...)
		if got, want := tool(t, nil, "curl", append(args, "-T", file.Name(), address+"/x")...), fmt.Sprintf("bytes=%d sum=%s", large, sum(h)); !strings.Contains(got, want) {
			t.Errorf("uploaded %s, want %s", got, want)
		}
		got := sha256.New()
		cmd := exec.CommandContext(t.Context(), "curl", append(args, address+"/large")...)
		cmd.Stdout = got
		must(t, cmd.Run())
		if sum(got) != sum(h) {
			t.Error("another body was downloaded")
		}
	}
}

var h2loadResult = regexp.MustCompile(`requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout\s+status codes: (\d+) 2xx`)

func TestH2load(t *testing.T) {
	t.Parallel()
	g := serve(t, to(backend(t, depot).URL))
	for name, args := range map[string][]string{
		"HTTP/2 over TLS":                  {"https://" + g.Secure + "/x"},
		"HTTP/2 with prior knowledge":      {"http://" + g.Web + "/x"},
		"HTTP/1.1":                         {"--h1", "http://" + g.Web + "/x"},
		"HTTP/2 with bodies, small window": {"-w", "10", "-W", "12", "-d", "harness_test.go", "https://" + g.Secure + "/x"},
	} {
		t.Run(name, func(t *testing.T) {
			out := tool(t, nil, "h2load", append([]string{"-n", "10000", "-c", "20", "-m", "20", "-t", "1"}, args...)...)
			m := h2loadResult.FindStringSubmatch(out)
			if m == nil || strings.Join(m[1:], " ") != "10000 10000 0 0 0 10000" {
				t.Errorf("%v of\n%s", m, out)
			}
		})
	}
}

// curl does not show the trailers of HTTP/2.
func TestNghttpGetsTrailers(t *testing.T) {
	t.Parallel()
	g := serve(t, to(backend(t, depot).URL))
	for _, url := range []string{"https://" + g.Secure, "http://" + g.Web} {
		out := tool(t, nil, "nghttp", "-v", "--no-verify-peer", "-t", "60", "-H", "te: trailers", url+"/trailers")
		if !strings.Contains(out, "x-sum: after all") {
			t.Errorf("there are no trailers in\n%s", out)
		}
	}
}

// A gateway that is going away says so to a client that holds a connection, and ends
// its requests first.
func TestNghttpSeesTheEndOfADrain(t *testing.T) { // E1
	t.Parallel()
	began, release := make(chan struct{}, 2), make(chan struct{})
	b := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		began <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "done")
	})
	g := program.Serve(t, binary, routed(to(b.URL), ""))
	results := make(chan string, 2)
	for _, url := range []string{"https://" + g.Secure + "/x", "http://" + g.Web + "/x"} {
		go func() {
			out, err := attempt(t, nil, "nghttp", "-v", "--no-verify-peer", "-t", "60", url)
			results <- fmt.Sprint(out, err)
		}()
	}
	<-began
	<-began
	g.Term()
	g.Until("the drain", func() bool { return strings.Contains(g.String(), "draining: waiting") })
	close(release)
	for range 2 {
		out := <-results
		for _, want := range []string{"recv GOAWAY frame", "error_code=NO_ERROR(0x00)", ":status: 200", "done"} {
			if !strings.Contains(out, want) {
				t.Errorf("there is no %q in\n%s", want, out)
			}
		}
	}
	g.End()
}

// A backend that answers before it has the whole body, and does not want the rest.
func TestUploadsToABackendThatAnswersEarly(t *testing.T) { // H7
	t.Parallel()
	b := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "too large")
	})
	g := serve(t, to(b.URL))
	body := bytes.NewReader(make([]byte, 10<<20))
	out, _ := attempt(t, body, "curl", "--http1.1", "-sS", "-w", "%{http_code}", "--noproxy", "*", "--max-time", "60", "-T", "-", "http://"+g.Web+"/x")
	if !strings.Contains(out, "too large413") {
		t.Errorf("over HTTP/1.1: %s", out)
	}
	// This curl takes the RST_STREAM (NO_ERROR) behind the answer for a failure.
	client := &http.Client{Transport: &http.Transport{Protocols: overH2C()}}
	r, err := http.NewRequestWithContext(patient(t), http.MethodPut, "http://"+g.Web+"/x", bytes.NewReader(make([]byte, 10<<20)))
	must(t, err)
	resp, err := client.Do(r)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusRequestEntityTooLarge || string(text) != "too large" {
		t.Errorf("over HTTP/2: %d %q", resp.StatusCode, text)
	}
}
