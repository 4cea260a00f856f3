// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package errorinterceptor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
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

// read reads a file below the directory of files, whatever links there are. The
// rule may come from somebody who has no right to read other files. T8
func read(b definition.Build, name string) ([]byte, error) {
	if b.FilesDir == "" && b.CheckOnly {
		return nil, nil // nobody knows yet where the gateway will run
	}
	if b.FilesDir == "" {
		return nil, errors.New("this gateway has no directory of files; write the text in body")
	}
	below := name
	if filepath.IsAbs(name) {
		rest, err := filepath.Rel(b.FilesDir, filepath.Clean(name))
		if err != nil {
			return nil, outside(b.FilesDir)
		}
		below = rest
	}
	if !filepath.IsLocal(below) {
		return nil, outside(b.FilesDir)
	}
	if b.CheckOnly {
		return nil, nil // the file may be where the gateway will run
	}
	if b.DependOn != nil {
		b.DependOn(filepath.Join(b.FilesDir, below))
	}
	root, err := os.OpenRoot(b.FilesDir)
	if err != nil {
		return nil, fmt.Errorf("the directory of files, %s, cannot be opened", b.FilesDir)
	}
	defer root.Close() //nolint:errcheck // it was only read
	return readIn(root, below)
}

func readIn(root *os.Root, name string) ([]byte, error) {
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no %s in %s", name, root.Name())
	case err != nil:
		return nil, outside(root.Name())
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read", name)
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read", name)
	case len(text) > maxFileBytes:
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFileBytes)
	}
	return text, nil
}

func outside(dir string) error { return fmt.Errorf("must be a file in %s", dir) }
