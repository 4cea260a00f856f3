// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"maps"
	"net/http"
	"net/textproto"
	"sync"
)

// informer passes informational responses on, until the final one is there. H7
type informer struct {
	w http.ResponseWriter
	// mute is for a client that must not get any, or that waits for a 100: the
	// server sends that one by itself when the body is first read, which happens
	// beside us, and two heads must not be written at once.
	mute bool

	mu    sync.Mutex
	ended bool
	count int
}

func newInformer(w http.ResponseWriter, r *http.Request) *informer {
	return &informer{w: w, mute: !r.ProtoAtLeast(1, 1) || r.Header.Get("Expect") != ""}
}

// maxInformational bounds how many a backend may send.
const maxInformational = 16

// pass is called by the connection to the backend, while the handler waits for the
// final response.
func (i *informer) pass(code int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.count++; i.count > maxInformational {
		return errTooMany
	}
	switch {
	case code == http.StatusSwitchingProtocols:
		return errUnsolicited // over HTTP/2, which has no such thing
	case i.ended, i.mute, code == http.StatusContinue, code == http.StatusProcessing:
		return nil // 100 and 102 concern the hop to the backend alone
	}
	informOf(i.w, code, http.Header(header))
	return nil
}

// informOf writes an informational head that has the given header and no other.
func informOf(w http.ResponseWriter, code int, header http.Header) {
	h := w.Header()
	saved := maps.Clone(h)
	copyHeader(h, header)
	w.WriteHeader(code)
	clear(h)
	maps.Copy(h, saved)
}

// end is when the final response is there, or none will come.
func (i *informer) end() {
	i.mu.Lock()
	i.ended = true
	i.mu.Unlock()
}
