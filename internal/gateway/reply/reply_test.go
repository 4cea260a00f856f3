// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package reply

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTheFormIsNegotiated(t *testing.T) {
	t.Parallel()
	const (
		asText = "503 Service Unavailable\n"
		asJSON = `{"success":false,"statusCode":503,"error":"503 Service Unavailable"}` + "\n"
		asXML  = "<error><success>false</success><statusCode>503</statusCode><error>503 Service Unavailable</error></error>\n"
	)
	for _, c := range []struct{ name, accept, contentType, want, wantType string }{
		{"a client that says nothing gets text", "", "", asText, "text/plain; charset=utf-8"},
		{"a client that takes anything gets text", "*/*", "", asText, "text/plain; charset=utf-8"},
		{"JSON is sent when asked for", "application/json", "", asJSON, "application/json"},
		{"M5: JSON before a wildcard is JSON", "application/json, */*", "", asJSON, "application/json"},
		{"the higher weight wins, not the first", "application/json;q=0.2, text/plain;q=0.9", "", asText, "text/plain; charset=utf-8"},
		{"a weight of zero is a refusal", "application/json;q=0, */*;q=0.1", "", asText, "text/plain; charset=utf-8"},
		{"a malformed weight is a refusal", "application/json;q=x", "", asText, "text/plain; charset=utf-8"},
		{"a browser gets text", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", asText, "text/plain; charset=utf-8"},
		{"XML is sent when asked for", "application/xml", "", asXML, "application/xhtml+xml"},
		{"without Accept the type of the request decides", "", "application/json", asJSON, "application/json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header.Set("Accept", c.accept)
			r.Header.Set("Content-Type", c.contentType)
			if c.accept == "" {
				r.Header.Del("Accept")
			}
			w := httptest.NewRecorder()
			Error(w, r, http.StatusServiceUnavailable, "")
			if w.Code != 503 || w.Body.String() != c.want || w.Header().Get("Content-Type") != c.wantType {
				t.Fatalf("got %d %q as %q, want %q as %q", w.Code, w.Body, w.Header().Get("Content-Type"), c.want, c.wantType)
			}
		})
	}
}

func TestAMessageThatIsJSONIsSentAsItIs(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", "application/json")
	w := httptest.NewRecorder()
	Body(w, r, http.StatusServiceUnavailable, `{"error":"down"}`)
	if got := w.Body.String(); got != `{"error":"down"}` {
		t.Fatalf("got %q", got)
	}
}

func TestTextThatOnlyLooksLikeJSONIsAMessage(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", "application/json")
	w := httptest.NewRecorder()
	Body(w, r, http.StatusServiceUnavailable, `{down`)
	if got, want := w.Body.String(), `{"success":false,"statusCode":503,"error":"{down"}`+"\n"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestXMLEscapesTheMessage(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", "text/xml")
	w := httptest.NewRecorder()
	Body(w, r, http.StatusForbidden, "<b>&")
	if got, want := w.Body.String(), "<error><success>false</success><statusCode>403</statusCode><error>&lt;b&gt;&amp;</error></error>\n"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestHeadHasTheHeadersAndNoBody(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	Error(w, httptest.NewRequest(http.MethodHead, "/", nil), http.StatusNotFound, "404 page not found")
	if w.Body.Len() != 0 || w.Header().Get("Content-Length") != "19" {
		t.Fatalf("got %d bytes, Content-Length %q", w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestHeadersOfTheBodyThatIsNotSentAreGone(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Etag", `"x"`)
	w.Header().Set("Content-Encoding", "gzip")
	Error(w, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusBadGateway, "")
	if w.Header().Get("Etag") != "" || w.Header().Get("Content-Encoding") != "" {
		t.Fatalf("left over: %v", w.Header())
	}
}

func TestAGRPCClientGetsAGRPCStatus(t *testing.T) { // G3
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/pkg.Service/Call", nil)
	r.Header.Set("Content-Type", "application/grpc+proto")
	w := httptest.NewRecorder()
	Error(w, r, http.StatusServiceUnavailable, "100% down\n")
	h := w.Header()
	if w.Code != 200 || h.Get("Grpc-Status") != "14" || h.Get("Grpc-Message") != "100%25 down%0A" || w.Body.Len() != 0 {
		t.Fatalf("got %d %v %q", w.Code, h, w.Body)
	}
}

func TestAStatusWithoutANameIsNotEmpty(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	Error(w, httptest.NewRequest(http.MethodGet, "/", nil), 499, "")
	if got := w.Body.String(); got != "499 Client Closed Request\n" {
		t.Fatalf("got %q", got)
	}
}
