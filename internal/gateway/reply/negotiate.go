// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package reply

import (
	"net/http"
	"strconv"
	"strings"
)

// TextType is the type of answers to clients that ask for no other.
const TextType = "text/plain; charset=utf-8"

// ContentType is the type of the answer that Body would give r.
func ContentType(r *http.Request) string { return negotiate(r).contentType }

// form is one way to write a message.
type form struct {
	contentType string
	encode      func(status int, message string) []byte
}

var (
	text = form{TextType, asText}
	js   = form{"application/json", asJSON}
	xm   = form{"application/xhtml+xml", asXML}
)

// forms maps a media type to its form. Wildcards mean text, the default.
var forms = map[string]form{
	"application/json":      js,
	"application/xhtml+xml": xm,
	"application/xml":       xm,
	"text/xml":              xm,
	"text/plain":            text,
	"text/html":             text,
	"text/*":                text,
	"application/*":         js,
	"*/*":                   text,
}

// negotiate picks the form that the client weighs highest; of equal weights the
// first that it names. A client without Accept is answered in the type that it
// sent, and else in text.
func negotiate(r *http.Request) form {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if accept == "" {
		accept = r.Header.Get("Content-Type")
	}
	best, weight := text, 0.0
	for entry := range strings.SplitSeq(accept, ",") {
		mediaType, q := weighted(entry)
		if f, ok := forms[mediaType]; ok && q > weight {
			best, weight = f, q
		}
	}
	return best
}

// weighted splits "type/subtype;q=0.5". A malformed weight counts as refusal.
func weighted(entry string) (mediaType string, q float64) {
	mediaType, parameters, _ := strings.Cut(entry, ";")
	q = 1
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(p), "=")
		if !ok || !strings.EqualFold(name, "q") {
			continue
		}
		parsed, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || parsed < 0 || parsed > 1 {
			return "", 0
		}
		q = parsed
	}
	return strings.ToLower(strings.TrimSpace(mediaType)), q
}
