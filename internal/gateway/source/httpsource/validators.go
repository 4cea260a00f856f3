// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/source/lastgood"
)

// validators are what the server can compare with.
type validators struct {
	// tag is the value of ETag, as it came.
	tag string
	// modified is the value of Last-Modified, as it came.
	modified string
	// checksum is the SHA-256 of the body in hex.
	checksum string
}

func newValidators(h http.Header, body []byte) validators {
	sum := sha256.Sum256(body)
	return validators{
		tag: strings.TrimSpace(h.Get("ETag")), modified: h.Get("Last-Modified"), checksum: hex.EncodeToString(sum[:]),
	}
}

// condition asks for an answer only if there is something new. A tag goes back as
// it came: in quotes, weak or, as servers of the former format write it, bare. A
// server that gave neither tag nor date may know the checksum by itself, bare. A
// date goes alone, because a tag beside it would have it ignored.
func (v validators) condition(h http.Header) {
	switch {
	case v.tag != "":
		h.Set("If-None-Match", v.tag)
	case v.modified != "":
		h.Set("If-Modified-Since", v.modified)
	case v.checksum != "":
		h.Set("If-None-Match", v.checksum)
	}
}

// values are for the file on disk.
func (v validators) values() map[string]string {
	return map[string]string{"etag": v.tag, "lastModified": v.modified, "sha256": v.checksum}
}

func validatorsOf(r *lastgood.Record) validators {
	return validators{tag: r.Values["etag"], modified: r.Values["lastModified"], checksum: r.Values["sha256"]}
}
