// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"encoding/json"
	"io"
	"net/http"
)

// maxEchoedBody bounds what is kept of a request's body.
const maxEchoedBody = 64 << 10

// echo answers with the request as it has reached the backend.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxEchoedBody))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(struct { // a client that is gone needs no answer
		Method  string      `json:"method"`
		Host    string      `json:"host"`
		Path    string      `json:"path"`
		Query   string      `json:"query,omitempty"`
		Headers http.Header `json:"headers"`
		Body    string      `json:"body,omitempty"`
	}{r.Method, r.Host, r.URL.EscapedPath(), r.URL.RawQuery, r.Header, string(body)})
}
