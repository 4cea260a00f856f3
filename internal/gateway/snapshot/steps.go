// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"reflect"
	"slices"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// step is a middleware that has been parsed. It is compared by pointer: an
// unchanged middleware keeps its step.
type step struct {
	source   *config.Middleware
	kind     middleware.Type
	rule     middleware.Rule
	problems []config.Problem
	// fault says why the step cannot be used; empty when it can. A step that is only
	// checked may have neither a fault nor a rule: what is in a Secret is not known.
	fault string
	// files are those of the Secrets that it names.
	files []dependency
}

// fresh tells whether parsing the middleware anew would give the same step.
func (s *step) fresh(m *config.Middleware, identify func(string) source.Identity) bool {
	if !sameMiddleware(s.source, m) {
		return false
	}
	for _, f := range s.files {
		if f.identity != identify(f.path) {
			return false
		}
	}
	return len(s.files) == 0 || s.source.Meta.Ref.Source == m.Meta.Ref.Source
}

// steps are the middlewares of a Snapshot.
type steps struct {
	list   []*step
	byName map[string]*step
}

func (s *steps) get(name string) *step {
	if s == nil {
		return nil
	}
	return s.byName[name]
}

// parseSteps parses what has changed. The result is prev itself when nothing has.
func parseSteps(o *Options, prev *steps, list []*config.Middleware, identify func(string) source.Identity) *steps {
	next := &steps{list: make([]*step, 0, len(list)), byName: make(map[string]*step, len(list))}
	same := prev != nil && len(prev.list) == len(list)
	for i, m := range list {
		s := prev.get(m.Name)
		if s == nil || !s.fresh(m, identify) {
			s = parseStep(o, m)
		}
		same = same && prev.list[i] == s
		next.list = append(next.list, s)
		next.byName[m.Name] = s
	}
	if same {
		return prev
	}
	return next
}

// sameMiddleware compares everything but where the objects came from.
func sameMiddleware(a, b *config.Middleware) bool {
	if a == b {
		return true
	}
	x, y := *a, *b
	x.Meta, y.Meta = config.Meta{}, config.Meta{}
	return reflect.DeepEqual(x, y)
}

// parseStep never fails: what cannot be parsed is a step with a fault.
func parseStep(o *Options, m *config.Middleware) (s *step) {
	s = &step{source: m}
	defer func() {
		if p := recover(); p != nil {
			s.fault = "it made the gateway panic"
			s.problems = append(s.problems, config.Problem{
				Object: config.ObjectRef{Kind: "Middleware", Name: m.Name, Source: m.Meta.Ref.Source}, Reason: config.ReasonInvalid, Position: m.Meta.Position,
				Message: fmt.Sprintf("the middleware made the gateway panic, which is a bug: %v", p),
			})
		}
	}()
	s.problems = middleware.Check(m)
	if config.HasErrors(s.problems) {
		s.fault = firstError(s.problems)
		return s
	}
	kind, ok := middleware.Lookup(m.Type)
	if !ok {
		s.fault = fmt.Sprintf("its type %q is not known", m.Type)
		return s
	}
	secrets := newSecretReader(o, m)
	rule, problems := middleware.Parsed(m, secrets.read)
	s.kind, s.files = kind, secrets.files
	if secrets.open {
		return s
	}
	if middleware.NamesSecrets(m) {
		// What is in them makes a rule of which Check could not know.
		s.report(problems)
	}
	if config.HasErrors(problems) || rule == nil {
		s.fault = firstError(problems)
		return s
	}
	s.rule = rule
	return s
}

// report adds the problems of which nothing has been said yet.
func (s *step) report(problems []config.Problem) {
	for _, p := range problems {
		said := func(q config.Problem) bool { return q.Field == p.Field && q.Reason == p.Reason }
		if !slices.ContainsFunc(s.problems, said) {
			s.problems = append(s.problems, p)
		}
	}
}

func firstError(problems []config.Problem) string {
	for _, p := range problems {
		if p.Severity != config.SeverityError {
			continue
		}
		if p.Field != "" {
			return p.Field + ": " + p.Message
		}
		return p.Message
	}
	return "it cannot be built"
}
