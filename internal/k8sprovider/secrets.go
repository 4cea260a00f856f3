// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// secret is what is known of one Secret that is needed.
type secret struct {
	use   resolve.SecretUse
	stop  context.CancelFunc
	since time.Time
	// answered says that the API server has told whether it exists.
	answered bool
	// data is nil when it does not. All of it is kept, since the next change may need
	// another key of it.
	data map[string][]byte
	// denied is why the API server does not say; nil once it has.
	denied error
	// problems are those of the Routes that need it.
	problems []config.Problem
}

// secretWatches runs one watch for each needed Secret.
type secretWatches struct {
	ctx context.Context
	// start watches one Secret until the context ends.
	start   func(ctx context.Context, name string, s *secret)
	running sync.WaitGroup
	byName  map[string]*secret
}

func newSecretWatches(ctx context.Context, start func(context.Context, string, *secret)) *secretWatches {
	return &secretWatches{ctx: ctx, start: start, byName: map[string]*secret{}}
}

// need makes the watched Secrets these. It gives those that were watched already
// and are now needed in another way.
func (w *secretWatches) need(uses []resolve.SecretUse, now time.Time) (changed []*secret) {
	wanted := map[string]bool{}
	for _, use := range uses {
		name := use.Secret.Name
		wanted[name] = true
		if s, ok := w.byName[name]; ok {
			if !reflect.DeepEqual(s.use, use) {
				s.use = use
				changed = append(changed, s)
			}
			continue
		}
		ctx, stop := context.WithCancel(w.ctx)
		s := &secret{use: use, stop: stop, since: now}
		w.byName[name] = s
		w.running.Go(func() { w.start(ctx, name, s) })
	}
	for name, s := range w.byName {
		if !wanted[name] {
			s.stop()
			delete(w.byName, name)
		}
	}
	return changed
}

// wait waits for the watches to end after their context has.
func (w *secretWatches) wait() {
	for _, s := range w.byName {
		s.stop()
	}
	w.running.Wait()
}

// problems are those of all Secrets.
func (w *secretWatches) problems() []config.Problem {
	var list []config.Problem
	for _, name := range slices.Sorted(maps.Keys(w.byName)) {
		list = append(list, w.byName[name].problems...)
	}
	return list
}

func (s *secret) name() string { return s.use.Secret.Name }

// learn takes what the API server says about a Secret.
func (s *secret) learn(c change) {
	s.answered, s.denied, s.data = true, nil, nil
	for _, o := range c.set {
		if object, ok := o.(*corev1.Secret); ok && object.Name == s.name() {
			if s.data = object.Data; s.data == nil {
				s.data = map[string][]byte{}
			}
		}
	}
}

// settle writes the files of the Secret as far as they are good, and notes the
// problems of those who need what is not. Of a certificate that has become bad, the
// last good version stays; of what is gone, and of values that are, nothing does: a
// credential that somebody has taken away must not go on being good.
func (s *secret) settle(store *certStore) (changed bool, err error) {
	if !s.answered {
		s.problems = s.unknown(store)
		return false, nil
	}
	name := s.name()
	files := map[string][]byte{}
	s.problems = nil
	for _, ref := range s.use.UsedBy {
		if s.data == nil {
			s.problems = append(s.problems, ref.Missing())
			continue
		}
		p := ref.Check(s.data)
		if p == nil {
			copyKeys(files, s.data, ref.Keys)
			continue
		}
		if !ref.Value && store.has(name, ref.Keys) {
			p.Severity = config.SeverityWarning
			p.Message += "; the last good version goes on being used"
			copyKeys(files, store.read(name, ref.Keys), ref.Keys)
		}
		s.problems = append(s.problems, *p)
	}
	return store.write(name, files)
}

func copyKeys(to, from map[string][]byte, keys []string) {
	for _, key := range keys {
		to[key] = from[key]
	}
}

// unknown are the problems while the API server does not say what the Secret is.
// What is on disk from before serves meanwhile.
func (s *secret) unknown(store *certStore) []config.Problem {
	if s.denied == nil {
		return nil
	}
	var list []config.Problem
	for _, ref := range s.use.UsedBy {
		p := config.Problem{
			Object: ref.Object, Field: ref.Field, Reason: config.ReasonSecretNotFound,
			Message: fmt.Sprintf("Secret %s cannot be read yet: %v", ref.Secret, s.denied),
		}
		if store.has(ref.Secret.Name, ref.Keys) {
			p.Severity = config.SeverityWarning
		}
		list = append(list, p)
	}
	return list
}
