// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package errorinterceptor

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// maxFileBytes bounds a file, which is kept in memory.
const maxFileBytes = 1 << 20

const htmlType = "text/html; charset=utf-8"

// page is the answer for one status.
type page struct {
	// message is what the negotiated forms are made of; empty is the status and its
	// reason.
	message string
	// body is the answer as it is, if it has a type of its own; where html is set,
	// only clients that ask for neither JSON nor XML get it.
	body        []byte
	contentType string
	html        bool
	count       *counter.Value
}

func compile(b definition.Build, contentType string, a Answer) (*page, error) {
	p := &page{message: a.Body}
	if a.Body == "" && a.File != "" {
		text, err := read(b, a.File)
		if err != nil {
			return nil, err
		}
		if contentType == "" {
			contentType = htmlType
		}
		p.body, p.contentType = text, contentType
		return p, nil
	}
	switch mediaType, _, _ := mime.ParseMediaType(contentType); {
	case contentType == "" && isHTML(a.Body):
		p.body, p.contentType, p.html = []byte(a.Body), htmlType, true
	case contentType == "":
	default:
		p.body, p.contentType = reply.Encode(mediaType, a.StatusCode, a.Body), contentType
	}
	return p, nil
}

func isHTML(body string) bool {
	start := strings.ToLower(strings.TrimSpace(body[:min(len(body), 64)]))
	return strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html")
}

// send answers; the head holds nothing any more of the body that it replaces.
func (p *page) send(w http.ResponseWriter, r *http.Request, status int) {
	if p.body == nil || p.html && reply.ContentType(r) != reply.TextType {
		reply.Body(w, r, status, p.message)
		return
	}
	h := w.Header()
	h.Set("Content-Type", p.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(p.body)))
	w.WriteHeader(status)
	_, _ = w.Write(p.body) // the client may be gone
}

// read reads a file of the directory of files. T8
func read(b definition.Build, name string) ([]byte, error) {
	text, err := b.ReadFile(name, maxFileBytes)
	if errors.Is(err, definition.ErrUnread) {
		return nil, nil
	}
	return text, err
}
