// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package reply

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
)

// Error answers with an error in the client's preferred form. An empty message
// means "<code> <reason>".
func Error(w http.ResponseWriter, r *http.Request, status int, message string) {
	Body(w, r, status, message)
}

// Body answers with a message in the client's preferred form. A message that is
// a JSON document itself is sent as it is to a client that prefers JSON, so that
// a maintenance page may have a shape of its own.
func Body(w http.ResponseWriter, r *http.Request, status int, message string) {
	message = worded(status, message)
	if isGRPC(r) {
		grpcStatus(w, status, message)
		return
	}
	f := negotiate(r)
	body := f.encode(status, message)
	h := w.Header()
	// What a handler set for the body it meant to send does not describe this one.
	for _, name := range []string{"Content-Encoding", "Content-Range", "Etag", "Last-Modified", "Accept-Ranges"} {
		h.Del(name)
	}
	h.Set("Content-Type", f.contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		// The client may be gone; there is nobody left to tell.
		_, _ = w.Write(body)
	}
}

// Encode gives the text of an answer of a type that the gateway did not negotiate:
// JSON and XML as Body has them, unless the message is such a document already,
// and the message itself in every other type.
func Encode(mediaType string, status int, message string) []byte {
	message = worded(status, message)
	switch {
	case mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
		return asJSON(status, message)
	case mediaType == "text/xml" || mediaType == "application/xml" || strings.HasSuffix(mediaType, "+xml"):
		if strings.HasPrefix(strings.TrimSpace(message), "<") {
			return []byte(message)
		}
		return asXML(status, message)
	}
	return []byte(message)
}

func worded(status int, message string) string {
	if message == "" {
		return strconv.Itoa(status) + " " + reason(status)
	}
	return message
}

// reason is the status text, also for codes that net/http does not name.
func reason(status int) string {
	if status == 499 {
		return "Client Closed Request"
	}
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Error"
}

type problem struct {
	XMLName    xml.Name `json:"-" xml:"error"`
	Success    bool     `json:"success" xml:"success"`
	StatusCode int      `json:"statusCode" xml:"statusCode"`
	Error      string   `json:"error" xml:"error"`
}

func asJSON(status int, message string) []byte {
	if trimmed := strings.TrimSpace(message); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		if json.Valid([]byte(trimmed)) {
			return []byte(trimmed)
		}
	}
	return encoded(json.Marshal(problem{StatusCode: status, Error: message}))
}

func asXML(status int, message string) []byte {
	return encoded(xml.Marshal(problem{StatusCode: status, Error: message}))
}

func asText(_ int, message string) []byte { return []byte(message + "\n") }

// encoded ends a document with a newline. A struct of a number and two texts
// always encodes.
func encoded(data []byte, _ error) []byte { return append(data, '\n') }
