// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Parser decodes a bundle document of one object, `{"routes":[…]}` or
// `{"middlewares":[…]}`. It is the way to have the objects expanded and checked
// as those of other sources are. An object that it does not return is set aside.
type Parser func(name string, document []byte) (*config.Bundle, []config.Problem, error)

// parseDirectly takes the objects as they were written.
func parseDirectly(_ string, document []byte) (*config.Bundle, []config.Problem, error) {
	var b config.Bundle
	err := json.Unmarshal(document, &b)
	return &b, nil, err
}

// loaded is an object in memory: the last good version, and what is wrong with
// the current one.
type loaded struct {
	hash     hash
	object   Object
	problems []config.Problem
	// failed says that the version of hash is not the one of object.
	failed bool
}

// load brings the dirty objects to what the log says. It reports false when a
// file is not there, which most often means that the log says more by now. The
// last attempt accepts that.
func (r *Reader) load(last bool) bool {
	for key := range r.dirty {
		want, ok := r.log.objects[key]
		have := r.objects[key]
		if key.Kind != KindRoute && key.Kind != KindMiddleware {
			// From a newer writer, for newer readers.
			continue
		}
		if !ok || have != nil && have.hash == want && !have.failed {
			continue
		}
		next, err := r.read(key, want)
		if errors.Is(err, fs.ErrNotExist) && !last {
			return false
		}
		if err != nil {
			next = failure(key, want, have, err)
		}
		r.objects[key] = next
	}
	return true
}

// failure keeps the last good version of an object and says why it does.
func failure(key Key, want hash, have *loaded, err error) *loaded {
	l := &loaded{hash: want, failed: true}
	if have != nil {
		l.object = have.object
	}
	l.problems = []config.Problem{{
		Object:  config.ObjectRef{Kind: key.Kind, Name: key.Name, Source: Source},
		Reason:  config.ReasonUnreadable,
		Message: "the object could not be read from goma-k8s-provider; it writes it again when it restarts: " + err.Error(),
	}}
	return l
}

// read reads and decodes the version of an object that the log names.
func (r *Reader) read(key Key, want hash) (*loaded, error) {
	name := fileName(key, want)
	data, err := readBounded(filepath.Join(r.dir, objectsDir, name), maxObjectBytes)
	if err != nil {
		return nil, err
	}
	if hashOf(data) != want {
		return nil, fmt.Errorf("%s is damaged", name)
	}
	return r.decode(key, want, name, data)
}

func (r *Reader) decode(key Key, want hash, name string, data []byte) (*loaded, error) {
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if doc.Kind != key.Kind || len(doc.body()) == 0 {
		return nil, fmt.Errorf("%s holds no %s", name, key.Kind)
	}
	list := map[string][]json.RawMessage{strings.ToLower(doc.Kind) + "s": {doc.body()}}
	text, err := plainJSON(list)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	bundle, problems, err := r.parse(name, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	l := &loaded{hash: want, problems: problems}
	meta := config.Meta{
		Ref:     config.ObjectRef{Kind: key.Kind, Namespace: doc.Namespace, Name: key.Name, Source: Source},
		Created: doc.Created,
	}
	for i := range l.problems {
		l.problems[i].Object, l.problems[i].Position = meta.Ref, config.Position{}
	}
	l.object, err = only(bundle, key, meta)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

// only gives the one object of a bundle; none when the parser has set it aside.
func only(b *config.Bundle, key Key, meta config.Meta) (Object, error) {
	var o Object
	switch {
	case b == nil:
		return o, nil
	case len(b.Routes) > 0:
		o.Route = b.Routes[0]
	case len(b.Middlewares) > 0:
		o.Middleware = b.Middlewares[0]
	default:
		return o, nil
	}
	if len(b.Routes)+len(b.Middlewares) != 1 || o == (Object{}) || o.Key() != key {
		return Object{}, fmt.Errorf("holds another object than %s", key)
	}
	if o.Route != nil {
		o.Route.Meta = meta
	} else {
		o.Middleware.Meta = meta
	}
	return o, nil
}

// nextView makes the view of what is loaded. The lists are merged, not sorted
// anew: of ten thousand routes one has changed.
func (r *Reader) nextView() *View {
	view := &View{Generation: r.log.generation, Checksum: r.log.sum.String()}
	old := &config.Bundle{}
	if r.view != nil {
		old = r.view.Bundle
	}
	gone, added := r.sortOut()
	view.Bundle = &config.Bundle{
		Version:     fmt.Sprintf("k8s-%d", view.Generation),
		Checksum:    view.Checksum,
		Routes:      merged(old.Routes, gone.Routes, added.Routes, config.CompareRoutes),
		Middlewares: merged(old.Middlewares, gone.Middlewares, added.Middlewares, config.CompareMiddlewares),
	}
	r.keepFailed()
	view.Problems = r.problems()
	return view
}

// sortOut forgets the dirty objects that are gone, and gives what leaves the
// lists and what comes into them.
func (r *Reader) sortOut() (gone, added config.Bundle) {
	for key := range r.dirty {
		delete(r.troubled, key)
		appendTo(&gone, r.shown[key])
		delete(r.shown, key)
		have := r.objects[key]
		if _, ok := r.log.objects[key]; !ok || have == nil {
			delete(r.objects, key)
			continue
		}
		if len(have.problems) > 0 {
			r.troubled[key] = struct{}{}
		}
		if have.object != (Object{}) {
			r.shown[key] = have.object
			appendTo(&added, have.object)
		}
	}
	return gone, added
}

func appendTo(b *config.Bundle, o Object) {
	switch {
	case o.Route != nil:
		b.Routes = append(b.Routes, o.Route)
	case o.Middleware != nil:
		b.Middlewares = append(b.Middlewares, o.Middleware)
	}
}

// keepFailed leaves only those dirty whose files could not be read: they are
// tried again with the next Read.
func (r *Reader) keepFailed() {
	for key := range r.dirty {
		if o := r.objects[key]; o == nil || !o.failed {
			delete(r.dirty, key)
		}
	}
}

// problems lists the problems of all objects, and of the index, in a fixed order.
func (r *Reader) problems() []config.Problem {
	var list []config.Problem
	for key := range r.troubled {
		list = append(list, r.objects[key].problems...)
	}
	slices.SortStableFunc(list, func(a, b config.Problem) int {
		return strings.Compare(a.String(), b.String())
	})
	if r.damage != nil {
		list = append(list, config.Problem{
			Object:  config.ObjectRef{Kind: "File", Name: indexName, Source: Source},
			Reason:  config.ReasonUnreadable,
			Message: "newer changes cannot be read until goma-k8s-provider writes the index anew: " + r.damage.Error(),
		})
	}
	return list
}

// differs tells whether view is news.
func (r *Reader) differs(view *View) bool {
	return r.view == nil || r.view.Generation != view.Generation ||
		r.view.Checksum != view.Checksum || !slices.Equal(r.view.Problems, view.Problems)
}

// merged is old without gone, which it holds, and with added, in order. It leaves
// old alone, which belongs to an earlier view.
func merged[T any](old, gone, added []*T, compare func(a, b *T) int) []*T {
	slices.SortFunc(gone, compare)
	slices.SortFunc(added, compare)
	list := make([]*T, 0, len(old)-len(gone)+len(added))
	// upTo moves what comes before x.
	upTo := func(x *T) {
		n, _ := slices.BinarySearchFunc(old, x, compare)
		list, old = append(list, old[:n]...), old[n:]
	}
	for len(gone) > 0 || len(added) > 0 {
		if len(added) == 0 || len(gone) > 0 && compare(gone[0], added[0]) <= 0 {
			upTo(gone[0])
			old, gone = old[1:], gone[1:]
			continue
		}
		upTo(added[0])
		list, added = append(list, added[0]), added[1:]
	}
	return append(list, old...)
}
