// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// hinting is a backend that gives hints before it reads the body.
func hinting(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Link", "</a.css>")
	w.WriteHeader(http.StatusProcessing)
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Del("Link")
	data, _ := io.ReadAll(r.Body)
	_, _ = io.WriteString(w, "got "+string(data))
}

func TestWhoGetsInformationalHeads(t *testing.T) { // H7
	t.Parallel()
	for _, c := range []struct {
		name, request string
		heads         []string
	}{
		{"a client that may", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", []string{"HTTP/1.1 103 ", "HTTP/1.1 200 "}},
		{"no client of HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", []string{"HTTP/1.0 200 "}},
		{
			"a client that waits gets hints, and its 100 once",
			"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",
			[]string{"HTTP/1.1 103 ", "HTTP/1.1 100 ", "HTTP/1.1 200 "},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer := behind(t, config.Route{}, hinting).raw(c.request)
			heads := strings.Split(answer, "HTTP/1.")[1:]
			if len(heads) != len(c.heads) {
				t.Fatalf("%q", answer)
			}
			for i, head := range heads {
				if !strings.HasPrefix("HTTP/1."+head, c.heads[i]) {
					t.Errorf("head %d is %q", i, head)
				}
			}
			if strings.Contains(heads[len(heads)-1], "Link") {
				t.Errorf("a hint is left in the final head: %q", answer)
			}
		})
	}
}

func TestAClientThatWaitsIsAnsweredWithoutSendingItsBody(t *testing.T) { // H7
	t.Parallel()
	f := behind(t, config.Route{Target: "http://127.0.0.1:1"}, nil)
	answer := f.raw("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 502 ") || strings.Contains(answer, "100 Continue") {
		t.Errorf("%q", answer)
	}
}

func TestNothingIsPassedOnAfterTheEnd(t *testing.T) { // H7
	t.Parallel()
	w := httptest.NewRecorder()
	i := newInformer(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if err := i.pass(http.StatusSwitchingProtocols, nil); !errors.Is(err, errUnsolicited) {
		t.Errorf("a switch within HTTP/2: %v", err)
	}
	i.end()
	if err := i.pass(http.StatusEarlyHints, textproto.MIMEHeader{"Link": {"x"}}); err != nil || len(w.Header()) > 0 {
		t.Errorf("%v %v", err, w.Header())
	}
	w.WriteHeader(http.StatusNoContent)
	if w.Code != http.StatusNoContent {
		t.Errorf("status %d", w.Code)
	}
}
