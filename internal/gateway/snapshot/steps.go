// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"reflect"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware"
)

// step is a middleware that has been parsed. It is compared by pointer: an
// unchanged middleware keeps its step.
type step struct {
	source   *config.Middleware
	kind     middleware.Type
	rule     middleware.Rule
	problems []config.Problem
	// fault says why the step cannot be used; empty when it can.
	fault string
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
func parseSteps(prev *steps, list []*config.Middleware) *steps {
	next := &steps{list: make([]*step, 0, len(list)), byName: make(map[string]*step, len(list))}
	same := prev != nil && len(prev.list) == len(list)
	for i, m := range list {
		s := prev.get(m.Name)
		if s == nil || !sameMiddleware(s.source, m) {
			s = parseStep(m)
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
func parseStep(m *config.Middleware) (s *step) {
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
	rule, problems := kind.Parse(m.Rule)
	if config.HasErrors(problems) || rule == nil {
		// Check has refused every rule that Parse refuses.
		s.fault = firstError(problems)
		return s
	}
	s.kind, s.rule = kind, rule
	return s
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
