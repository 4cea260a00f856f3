// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	kjson "sigs.k8s.io/json"

	"gateway.jkaninda.dev/goma/internal/config"
)

// maxDocumentBytes is what the API server takes in one request.
const maxDocumentBytes = 3 << 20

// Document is one object of a manifest, as it was written.
type Document struct {
	// File and Line are where the document begins.
	File string
	Line int
	// Object is the content; whole numbers are int64.
	Object map[string]any

	source *source
	// within is the path of an object that is an item of a list.
	within string
}

// Documents reads a manifest: YAML documents or JSON values, one after the other,
// and lists of objects. What cannot be read is a problem with its line, and does
// not keep the other documents from being read.
func Documents(file string, text []byte) ([]Document, []config.Problem) {
	var docs []Document
	var problems []config.Problem
	sources, problem := split(file, bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if problem != nil {
		problems = append(problems, *problem)
	}
	for _, s := range sources {
		found, problem := s.documents()
		if problem != nil {
			problems = append(problems, *problem)
		}
		docs = append(docs, found...)
	}
	return docs, problems
}

// Ref names the object.
func (d Document) Ref() config.ObjectRef {
	metadata, _ := d.Object["metadata"].(map[string]any)
	return config.ObjectRef{
		Kind: textOf(d.Object, "kind"), Namespace: textOf(metadata, "namespace"), Name: textOf(metadata, "name"),
		Source: "file",
	}
}

// Position is where a field is written, such as spec.backends[1].endpoint. A
// field that is not there has the position of what should hold it.
func (d Document) Position(field string) config.Position {
	return d.source.position(d.within, field)
}

// textOf gives a string of an object, or nothing.
func textOf(object map[string]any, key string) string {
	text, _ := object[key].(string)
	return text
}

// split parts a manifest into its documents.
func split(file string, text []byte) ([]*source, *config.Problem) {
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		if sources, ok := splitJSON(file, text); ok {
			return sources, nil
		}
	}
	return splitYAML(file, text)
}

// splitJSON parts JSON values that follow each other. Text that is not JSON
// throughout is taken for YAML.
func splitJSON(file string, text []byte) ([]*source, bool) {
	var out []*source
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		var value json.RawMessage
		err := decoder.Decode(&value)
		if err == io.EOF {
			return out, true
		}
		if err != nil {
			return nil, false
		}
		begin := int(decoder.InputOffset()) - len(value)
		out = append(out, &source{file: file, line: 1 + bytes.Count(text[:begin], []byte("\n")), text: value, json: true})
	}
}

// splitYAML parts documents at lines that begin with three dashes, as kubectl does.
func splitYAML(file string, text []byte) ([]*source, *config.Problem) {
	var out []*source
	current := &source{file: file, line: 1}
	scanner := bufio.NewReader(bytes.NewReader(text))
	for number := 1; ; number++ {
		line, err := scanner.ReadBytes('\n')
		if rest, ok := bytes.CutPrefix(line, []byte("---")); ok {
			rest = bytes.TrimSpace(rest)
			if len(rest) > 0 && rest[0] != '#' {
				at := config.Position{File: file, Line: number, Column: 1}
				return append(out, current), unreadable(at, "the line that begins a document holds only three dashes: put what follows them on the next line")
			}
			out = append(out, current)
			current = &source{file: file, line: number + 1}
		} else {
			current.text = append(current.text, line...)
		}
		if err != nil {
			return append(out, current), nil
		}
	}
}

// documents reads the object, or the objects of a list. An empty document holds none.
func (s *source) documents() ([]Document, *config.Problem) {
	at := config.Position{File: s.file, Line: s.line}
	if len(s.text) > maxDocumentBytes {
		return nil, unreadable(at, fmt.Sprintf("the document has %d bytes; the API server takes at most %d", len(s.text), maxDocumentBytes))
	}
	object, err := s.decode()
	if err != nil {
		return nil, s.syntax(err)
	}
	if object == nil {
		return nil, nil
	}
	doc := Document{File: s.file, Line: s.line, Object: object, source: s}
	items, ok := object["items"].([]any)
	if !ok || !strings.HasSuffix(textOf(object, "kind"), "List") {
		doc.Line = max(doc.Line, s.position("", "").Line)
		return []Document{doc}, nil
	}
	var docs []Document
	for i, item := range items {
		within := fmt.Sprintf("items[%d]", i)
		at := s.position(within, "")
		object, ok := item.(map[string]any)
		if !ok {
			return docs, unreadable(at, within+" of the list is not an object")
		}
		docs = append(docs, Document{File: s.file, Line: at.Line, Object: object, source: s, within: within})
	}
	return docs, nil
}

// decode gives nil for a document of comments and spaces.
func (s *source) decode() (map[string]any, error) {
	if !s.json {
		return Decode(s.text)
	}
	var object map[string]any
	repeated, err := kjson.UnmarshalStrict(s.text, &object)
	if err == nil && len(repeated) > 0 {
		err = repeated[0]
	}
	return object, err
}

var lineOfError = regexp.MustCompile(`line (\d+): ?`)

// syntax turns the parser's error, which counts lines from the document's first,
// into a problem.
func (s *source) syntax(err error) *config.Problem {
	at := config.Position{File: s.file, Line: s.line}
	message := err.Error()
	for _, noise := range []string{"parsing manifest: ", "error converting YAML to JSON: ", "yaml: ", "unmarshal errors:\n  "} {
		message = strings.Replace(message, noise, "", 1)
	}
	message, _, _ = strings.Cut(message, "\n")
	if found := lineOfError.FindStringSubmatch(message); found != nil {
		line, _ := strconv.Atoi(found[1])
		at.Line += line - 1
		message = strings.Replace(message, found[0], "", 1)
	}
	return unreadable(at, message)
}

func unreadable(at config.Position, message string) *config.Problem {
	return &config.Problem{
		Object: config.ObjectRef{Kind: "File", Name: at.File, Source: "file"},
		Reason: config.ReasonUnreadable, Message: message, Position: at,
	}
}
