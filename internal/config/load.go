// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
)

// LoadOptions say how a document is read. The zero value reads it as it is.
type LoadOptions struct {
	// Env gives the values of variables; without it they stay as written.
	Env Expander
	// Strict makes unknown keys errors.
	Strict bool
	// Source is the name that the objects of the document carry.
	Source string
}

// The names under which a configuration file is looked for.
const (
	envConfigFile = "GOMA_CONFIG_FILE"
	defaultFile   = "/etc/goma/goma.yml"
)

// Resolve gives the path of the configuration file: the one that is named, else
// that of GOMA_CONFIG_FILE, else /etc/goma/goma.yml. It never makes one. C1
func Resolve(path string) string {
	if path != "" {
		return path
	}
	if path = os.Getenv(envConfigFile); path != "" {
		return path
	}
	return defaultFile
}

// Load reads a main file, YAML or JSON. The File holds everything that can be
// used; the problems say what cannot, and where it is written. An error means that
// nothing can: the file is missing, or it is not a document.
func Load(path string, o LoadOptions) (*File, []Problem, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the configuration file: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxDocumentBytes+1))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the configuration file: %w", err)
	}
	return ParseFile(path, data, o)
}

// ParseFile reads a main file from its text.
func ParseFile(name string, data []byte, o LoadOptions) (*File, []Problem, error) {
	root, err := parse(name, data, true)
	if err != nil {
		return nil, unreadable(name, o, err), err
	}
	root.expand(o.Env)
	d := &decoder{object: ObjectRef{Kind: "Gateway"}, source: o.Source, strict: o.Strict, where: &placer{}}
	d.unwanted = map[string]string{
		"plugins": "plugins cannot be loaded; write a middleware that calls a service, such as forwardAuth",
	}
	f := &File{name: name, secrets: map[string]string{}}
	d.secrets, d.expanded = f.secrets, o.Env != nil
	d.where.note("", root.at)
	d.value(root, reflect.ValueOf(f).Elem(), "")
	f.places = d.where.places()
	return f, d.found.problems(), nil
}

// ParseBundle reads a document of routes and middlewares. Settings of a gateway
// have no place in it. T8
func ParseBundle(name string, data []byte, o LoadOptions) (*Bundle, []Problem, error) {
	root, err := parse(name, data, o.Source == SourceExtra.String())
	if err != nil {
		return nil, unreadable(name, o, err), err
	}
	root.expand(o.Env)
	d := &decoder{object: ObjectRef{Kind: "File", Name: name, Source: o.Source}, source: o.Source, strict: o.Strict}
	d.unwanted = map[string]string{
		"gateway":     "settings of the gateway stand in its main file; here are only routes and middlewares",
		"certManager": "settings of the gateway stand in its main file; here are only routes and middlewares",
	}
	b := &Bundle{}
	d.value(root, reflect.ValueOf(b).Elem(), "")
	return b, d.found.problems(), nil
}

var (
	errTooLarge = fmt.Errorf("it has more than %d MiB", maxDocumentBytes>>20)
	byteOrder   = []byte("\xef\xbb\xbf")
)

// parse reads a document of either syntax: YAML holds JSON, but JSON is read by a
// parser of its own, since there is much of it.
func parse(name string, data []byte, functions bool) (*node, error) {
	if len(data) > maxDocumentBytes {
		return nil, &syntaxError{Position{File: name}, errTooLarge.Error()}
	}
	data = bytes.TrimPrefix(data, byteOrder)
	if !functions {
		return parseAny(name, data)
	}
	data, shifts := callFunctions(name, data)
	root, err := parseAny(name, data)
	if err == nil {
		root.shiftBack(shifts)
	}
	return root, err
}

func parseAny(name string, data []byte) (*node, error) {
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		root, jsonErr := parseJSON(name, data)
		if jsonErr == nil {
			return root, nil
		}
		// It may be YAML that begins like JSON; if it is not, what the JSON
		// parser said is of more use.
		if root, err := parseYAML(name, data); err == nil {
			return root, nil
		}
		return nil, jsonErr
	}
	return parseYAML(name, data)
}

func unreadable(name string, o LoadOptions, err error) []Problem {
	p := Problem{
		Object: ObjectRef{Kind: "File", Name: name, Source: o.Source}, Reason: ReasonUnreadable,
		Message: err.Error(), Position: Position{File: name},
	}
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		p.Position, p.Message = syntax.at, syntax.message
	}
	return []Problem{p}
}
