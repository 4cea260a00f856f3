// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// The kinds of objects.
const (
	KindRoute      = "Route"
	KindMiddleware = "Middleware"
)

// Source is what the ObjectRef of an object that came over the wire says.
const Source = "kubernetes"

// Key names an object. All objects of a directory belong to one Gateway and so
// to one namespace.
type Key struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// String gives the key for logs and messages.
func (k Key) String() string { return k.Kind + " " + k.Name }

// Object is a Route or a Middleware; exactly one of the fields is set.
type Object struct {
	Route      *config.Route
	Middleware *config.Middleware
}

// Key gives the name of the object; the zero Key when both fields are nil.
func (o Object) Key() Key {
	switch {
	case o.Route != nil:
		return Key{Kind: KindRoute, Name: o.Route.Name}
	case o.Middleware != nil:
		return Key{Kind: KindMiddleware, Name: o.Middleware.Name}
	}
	return Key{}
}

func (o Object) meta() config.Meta {
	if o.Route != nil {
		return o.Route.Meta
	}
	return o.Middleware.Meta
}

// hash is the SHA-256 of an object's file.
type hash [sha256.Size]byte

func hashOf(data []byte) hash { return sha256.Sum256(data) }

func (h hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the hash in hexadecimal.
func (h hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *hash) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(h) {
		return fmt.Errorf("hash of %d digits, want %d", len(text), hex.EncodedLen(len(h)))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// document is the content of an object's file. It is encoded in one way only,
// because its hash is the identity of the object's version.
type document struct {
	Kind       string          `json:"kind"`
	Namespace  string          `json:"namespace,omitempty"`
	Created    time.Time       `json:"created,omitzero"`
	Route      json.RawMessage `json:"route,omitempty"`
	Middleware json.RawMessage `json:"middleware,omitempty"`
}

// body is the object itself as JSON.
func (d document) body() json.RawMessage {
	if d.Kind == KindRoute {
		return d.Route
	}
	return d.Middleware
}

// encode gives the content of the object's file.
func encode(o Object) ([]byte, error) {
	key := o.Key()
	if key.Name == "" {
		return nil, errors.New("object without a name")
	}
	if err := refuseHiddenKeys(o.Route); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", key, err)
	}
	meta := o.meta()
	doc := document{Kind: key.Kind, Namespace: meta.Ref.Namespace}
	if !meta.Created.IsZero() {
		doc.Created = meta.Created.UTC().Round(0)
	}
	var err error
	if o.Route != nil {
		doc.Route, err = plainJSON(o.Route)
	} else {
		doc.Middleware, err = plainJSON(o.Middleware)
	}
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", key, err)
	}
	return plainJSON(doc)
}

// plainJSON encodes without the escapes that are meant for HTML.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// refuseHiddenKeys refuses private keys given in place: config encodes them as
// ***, so the reader would get a key that is none. Translate writes paths only.
func refuseHiddenKeys(r *config.Route) error {
	if r == nil {
		return nil
	}
	var keys []config.PrivateKey
	if r.Security != nil && r.Security.TLS != nil {
		keys = append(keys, r.Security.TLS.ClientKey)
	}
	if r.TLS != nil {
		if r.TLS.Certificate != nil {
			keys = append(keys, r.TLS.Certificate.Key)
		}
		for _, c := range r.TLS.Certificates {
			keys = append(keys, c.Key)
		}
	}
	for _, k := range keys {
		if k.Reveal() != k.String() {
			return errors.New("a private key must be given as a path")
		}
	}
	return nil
}

// fileName is the name of an object's file. The hash makes it unique; the name
// is for people, and is replaced where it would not be a good file name.
func fileName(k Key, h hash) string {
	const (
		longest = 200
		plain   = "abcdefghijklmnopqrstuvwxyz0123456789.-"
	)
	name := strings.ToLower(k.Kind) + "-" + k.Name
	if len(name) > longest || strings.Trim(name, plain) != "" {
		id := sha256.Sum256([]byte(k.Kind + "\x00" + k.Name))
		name = "~" + hex.EncodeToString(id[:])
	}
	return name + "-" + h.String()[:12] + ".json"
}
