// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package waf

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/corazawaf/coraza/v3/types"
)

// body shows the engine the beginning of the body, unpacked, and puts the body back
// as it came. M29
func (h *handler) body(tx types.Transaction, r *http.Request) *refusal {
	if r.Body == nil || r.Body == http.NoBody || !readable(r.Header.Get("Content-Type")) {
		return nil
	}
	if r.ContentLength > h.limit && !h.partial {
		return h.unless(h.tooLong())
	}
	read, err := io.ReadAll(io.LimitReader(r.Body, h.limit+1))
	r.Body = &replay{Reader: io.MultiReader(bytes.NewReader(read), r.Body), body: r.Body}
	if err != nil {
		// The client's body breaks off or cannot be read: the backend must not take
		// the beginning for all of it.
		return &refusal{http.StatusBadRequest, "waf_body", "400 Bad Request: the body cannot be read"}
	}
	plain, err := unpack(r.Header.Values("Content-Encoding"), read, h.limit)
	switch {
	case errors.Is(err, errCoding):
		if refused := h.unless(&refusal{http.StatusUnsupportedMediaType, "waf_body", "415 Unsupported Media Type: the content coding of the body cannot be inspected"}); refused != nil {
			return refused
		}
	case err != nil && int64(len(read)) <= h.limit:
		if refused := h.unless(&refusal{http.StatusBadRequest, "waf_body", "400 Bad Request: the body is not packed as it says"}); refused != nil {
			return refused
		}
	}
	if int64(len(read)) > h.limit || int64(len(plain)) > h.limit {
		if !h.partial {
			if refused := h.unless(h.tooLong()); refused != nil {
				return refused
			}
		}
		plain = plain[:min(int64(len(plain)), h.limit)]
	}
	if _, _, err := tx.WriteRequestBody(plain); err != nil {
		return h.unless(&refusal{http.StatusBadRequest, "waf_body", "400 Bad Request: the body cannot be inspected"})
	}
	return nil
}

func (h *handler) tooLong() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, "waf_body_limit", fmt.Sprintf("413 Request body too large to be inspected (limit %d bytes)", h.limit)}
}

// replay is a body of which a part has been read. Its end is that of the body.
type replay struct {
	io.Reader

	body io.Closer
}

// Close implements io.Closer.
func (b *replay) Close() error { return b.body.Close() }

// opaque are families of types that hold no text, and streams: they pass unread.
var opaque = []string{
	"image/", "audio/", "video/", "font/", "model/", "application/grpc", "application/octet-stream", "application/zip", "application/gzip",
	"application/x-tar", "application/pdf", "application/wasm", "application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf",
	"application/msgpack", "application/x-msgpack", "application/cbor",
}

// readable tells whether the engine can make something of a body. What has no type,
// or one that is not known, is read.
func readable(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		kind = strings.TrimSpace(kind)
	}
	if strings.HasSuffix(kind, "+xml") || strings.HasSuffix(kind, "+json") {
		return true
	}
	for _, family := range opaque {
		if strings.HasPrefix(kind, family) {
			return false
		}
	}
	return true
}

var errCoding = errors.New("unknown content coding")

// unpack takes codings off, the last one first, and stops after the limit and one
// byte: what is packed may be a thousand times as long. With an error it gives what
// it has so far.
func unpack(codings []string, data []byte, limit int64) ([]byte, error) {
	list := strings.Split(strings.ToLower(strings.Join(codings, ",")), ",")
	for i := len(list) - 1; i >= 0; i-- {
		var in io.Reader
		var err error
		switch strings.TrimSpace(list[i]) {
		case "", "identity":
			continue
		case "gzip", "x-gzip":
			in, err = gzip.NewReader(bytes.NewReader(data))
		case "deflate":
			in, err = zlib.NewReader(bytes.NewReader(data))
		default:
			return nil, errCoding
		}
		if err != nil {
			return nil, err
		}
		if data, err = io.ReadAll(io.LimitReader(in, limit+1)); err != nil {
			return data, err
		}
	}
	return data, nil
}
