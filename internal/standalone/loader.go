// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema"
)

// maxFileBytes bounds one file. Far larger ones are hardly manifests.
const maxFileBytes = 64 << 20

// Loader reads manifests, again and again, and keeps the last good version of
// what an edit has broken: of an object that is refused, and of all objects of a
// part of a file that cannot be read. It is not safe for concurrent use.
type Loader struct {
	paths []string
	stdin []byte
	// stdinName stands for it in problems.
	stdinName string
	schema    *schema.Validator
	files     map[string]*manifest
}

// key names an object among manifests.
type key struct{ Kind, Namespace, Name string }

func (k key) ref() config.ObjectRef {
	return config.ObjectRef{Kind: k.Kind, Namespace: k.Namespace, Name: k.Name, Source: sourceManifests}
}

// object is one that the API server would take.
type object struct {
	key     key
	doc     schema.Document
	content *unstructured.Unstructured
}

// manifest is what is known of a file.
type manifest struct {
	hash    [sha256.Size]byte
	objects []object
	// kept are those of the objects that are of an earlier version of the file.
	kept []config.ObjectRef
	// refused are those of which there is no good version.
	refused  []key
	problems []config.Problem
}

// NewLoader prepares to read files and directories; stdin is read, at once, if one
// of the paths is Stdin.
func NewLoader(paths []string, stdin io.Reader) (*Loader, error) {
	if len(paths) == 0 {
		return nil, errNoPaths
	}
	validator, err := schema.New()
	if err != nil {
		return nil, fmt.Errorf("compiling the schemas: %w", err)
	}
	l := &Loader{paths: paths, stdinName: "stdin", schema: validator, files: map[string]*manifest{}}
	for _, p := range paths {
		if p != Stdin || l.stdin != nil {
			continue
		}
		if l.stdin, err = io.ReadAll(io.LimitReader(stdin, maxFileBytes+1)); err != nil {
			return nil, fmt.Errorf("reading the standard input: %w", err)
		}
	}
	return l, nil
}

// Load reads what has changed and gives all objects, with everything that is
// wrong in the files. The error is for a path that is not there: nothing has
// changed then.
func (l *Loader) Load() (*Objects, []config.Problem, error) {
	files, err := manifestFiles(l.paths)
	if err != nil {
		return nil, nil, err
	}
	next := make(map[string]*manifest, len(files))
	all := newObjects(len(files))
	var problems []config.Problem
	for _, name := range files {
		m := l.read(name, l.files[name])
		next[name] = m
		problems = append(problems, m.problems...)
		problems = append(problems, all.add(m)...)
	}
	l.files = next
	return all, problems, nil
}

// read gives the file as it is, or as it was when nothing has changed.
func (l *Loader) read(name string, before *manifest) *manifest {
	text, err := l.text(name)
	if errors.Is(err, os.ErrNotExist) {
		return &manifest{} // removed since it was listed
	}
	if err != nil {
		return keepAll(before, config.Problem{
			Object: config.ObjectRef{Kind: "File", Name: name, Source: sourceManifests}, Reason: config.ReasonUnreadable,
			Message: err.Error(), Position: config.Position{File: name},
		})
	}
	hash := sha256.Sum256(text)
	if before != nil && before.hash == hash {
		return before
	}
	m := l.parse(l.displayName(name), text, before)
	m.hash = hash
	return m
}

func (l *Loader) text(name string) ([]byte, error) {
	text := l.stdin
	if name != Stdin {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // it was only read
		if text, err = io.ReadAll(io.LimitReader(f, maxFileBytes+1)); err != nil {
			return nil, err
		}
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("the file has more than %d MiB", maxFileBytes>>20)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, errors.New("the file holds a zero byte, so it is no text; manifests are YAML or JSON in UTF-8")
	}
	return text, nil
}

func (l *Loader) displayName(name string) string {
	if name == Stdin {
		return l.stdinName
	}
	return name
}

// parse reads the documents of a file. Where one is refused, or a part cannot be
// read, the objects of before stay.
func (l *Loader) parse(name string, text []byte, before *manifest) *manifest {
	docs, problems := schema.Documents(name, text)
	m := &manifest{problems: problems}
	unreadable := config.HasErrors(problems)
	present, refused := map[key]bool{}, map[key]bool{}
	for _, doc := range docs {
		content, found := l.schema.Check(doc)
		m.problems = append(m.problems, found...)
		k := keyOf(doc)
		if content == nil {
			if config.HasErrors(found) {
				refused[k] = true
			}
			continue
		}
		present[k] = true
		m.objects = append(m.objects, object{key: k, doc: doc, content: content})
	}
	if before != nil {
		for _, o := range before.objects {
			if !present[o.key] && (refused[o.key] || unreadable) {
				present[o.key] = true
				m.objects = append(m.objects, o)
				m.kept = append(m.kept, o.key.ref())
			}
		}
	}
	for k := range refused {
		if !present[k] {
			m.refused = append(m.refused, k)
		}
	}
	return m
}

// keepAll is the manifest of a file that cannot be read any more.
func keepAll(before *manifest, p config.Problem) *manifest {
	m := &manifest{problems: []config.Problem{p}}
	if before == nil {
		return m
	}
	m.objects = before.objects
	for _, o := range before.objects {
		m.kept = append(m.kept, o.key.ref())
	}
	return m
}

func keyOf(doc schema.Document) key {
	ref := doc.Ref()
	if ref.Namespace == "" {
		ref.Namespace = schema.Namespace
	}
	return key{ref.Kind, ref.Namespace, ref.Name}
}
