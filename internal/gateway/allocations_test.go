// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// allocations are counts of a request's way through a whole gateway, client and
// backend in the same process not counted since they make none.
var allocations = []struct {
	name  string
	route string // more of the route
	most  float64
}{
	{"no middleware", "", 1},
	{"five middlewares", ", middlewares: [out, in, allow, rate, token]", 0},
}

const fiveMiddlewares = `middlewares:
  - {name: out, type: responseHeaders, rule: {setHeaders: {X-Frame-Options: DENY}}}
  - {name: in, type: requestHeaders, rule: {setHeaders: {X-Gateway: goma}}}
  - {name: allow, type: accessPolicy, rule: {action: ALLOW, sourceRanges: [127.0.0.0/8]}}
  - {name: rate, type: rateLimit, rule: {requestsPerUnit: 1000000, unit: second}}
  - {name: token, type: jwt, rule: {secret: 0123456789abcdef0123456789abcdef, algorithms: [HS256]}}
`

// TestAllocationsStayWhereTheyAre compares what a request allocates with what it did
// when the baseline was written: counts, never times. Run it with GOMA_BASELINE=write
// to write another one, and say why in the commit.
func TestAllocationsStayWhereTheyAre(t *testing.T) {
	// Not parallel: what is allocated meanwhile must be ours.
	const file = "testdata/allocations.json"
	baseline := map[string]float64{}
	if data, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(data, &baseline); err != nil {
			t.Fatal(err)
		}
	}
	backend := canned(t)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "a", "exp": time.Now().Add(time.Hour).Unix()}).
		SignedString([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, c := range allocations {
		path := filepath.Join(t.TempDir(), "goma.yml")
		write(t, path, mainFile("  log: {level: error}\n", routeYAML("a", "/", "http://"+backend, c.route))+fiveMiddlewares)
		r := start(t, Options{ConfigFile: path}).waitReady()
		got[c.name] = perRequest(t, r.at.Web, "GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nUser-Agent: a\r\nAuthorization: Bearer "+token+"\r\n\r\n")
		r.end()
	}
	if os.Getenv("GOMA_BASELINE") == "write" {
		data, _ := json.MarshalIndent(got, "", "  ")
		if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
		baseline = got
	}
	for _, c := range allocations {
		n, was := got[c.name], baseline[c.name]
		t.Logf("%s: %.2f allocations", c.name, n)
		if was == 0 || n > was*1.1+0.05 || c.most > 0 && n > c.most+0.1 {
			t.Errorf("%s: %.2f allocations per request, %.2f in the baseline, %v at most", c.name, n, was, c.most)
		}
	}
}

// perRequest counts what the process allocates for one request.
func perRequest(t *testing.T, address, request string) float64 {
	t.Helper()
	c, err := net.Dial("tcp", address) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	ask, answer, end := []byte(request), make([]byte, 64<<10), []byte("END")
	run := func(times int) {
		for range times {
			if _, err := c.Write(ask); err != nil {
				t.Fatal(err)
			}
			for n := 0; !bytes.HasSuffix(answer[:n], end); {
				k, err := c.Read(answer[n:])
				if n += k; err != nil {
					t.Fatalf("%q, %v", answer[:n], err)
				}
			}
		}
	}
	run(200) // pools and tables fill
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		t.Fatalf("%.200q", answer)
	}
	const times = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run(times)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / times
}

// canned is a backend that gives every request the same kilobyte, and allocates nothing.
func canned(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 1024\r\n\r\n%sEND", strings.Repeat("x", 1021))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // a test
				buffer, end := make([]byte, 64<<10), []byte("\r\n\r\n")
				for n := 0; ; {
					k, err := c.Read(buffer[n:])
					if err != nil {
						return
					}
					if n += k; bytes.HasSuffix(buffer[:n], end) {
						if _, err := c.Write(answer); err != nil {
							return
						}
						n = 0
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
