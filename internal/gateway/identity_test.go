// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// A client that lists a header in Connection asks each hop to remove it. What a
// middleware has set meanwhile is not the client's.
func TestNoClientListsAwayWhatAMiddlewareHasSet(t *testing.T) { // P7
	t.Parallel()
	seen := make(chan http.Header, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	t.Cleanup(backend.Close)
	path := filepath.Join(t.TempDir(), "goma.yml")
	write(t, path, mainFile("", routeYAML("a", "/a", backend.URL, ", middlewares: [partner]"))+
		"middlewares:\n  - {name: partner, type: requestHeaders, rule: {setHeaders: {X-Partner: blue}}}\n")
	r := start(t, Options{ConfigFile: path}).waitReady()
	r.untilRoutes("a")
	for name, head := range map[string]string{
		"a plain request":              "GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: X-Partner, X-Own\r\nX-Own: 1\r\n\r\n",
		"in another case":              "GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nConnection: x-partner,x-own\r\nX-Own: 1\r\n\r\n",
		"beside one of the client":     "GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: X-Partner, X-Own, X-Forwarded-For\r\nX-Forwarded-For: 1.2.3.4\r\nX-Partner: red\r\nX-Own: 1\r\n\r\n",
		"after an empty line":          "GET /a HTTP/1.1\r\nHost: a.test\r\nConnection:\r\nConnection: X-Partner, X-Own\r\nX-Own: 1\r\n\r\n",
		"a request that has a body":    "POST /a HTTP/1.1\r\nHost: a.test\r\nConnection: X-Partner, X-Own\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nhi",
		"a request for a new protocol": "GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, X-Partner, X-Own\r\nUpgrade: websocket\r\nX-Own: 1\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", r.at.Web)
		must(t, err)
		_, err = fmt.Fprint(conn, head)
		must(t, err)
		status, err := bufio.NewReader(conn).ReadString('\n')
		must(t, err)
		must(t, conn.Close())
		if !strings.Contains(status, " 200 ") {
			t.Errorf("%s: %s", name, status)
			continue
		}
		h := <-seen
		if got := strings.Join(h["X-Partner"], ","); got != "blue" {
			t.Errorf("%s: the backend saw X-Partner %q, want blue", name, got)
		}
		if got := h.Get("X-Forwarded-For"); got != "127.0.0.1" {
			t.Errorf("%s: the backend saw X-Forwarded-For %q", name, got)
		}
		if _, ok := h["X-Own"]; ok {
			t.Errorf("%s: a header that the client listed went on", name)
		}
	}
}
