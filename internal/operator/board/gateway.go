// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package board

import (
	"reflect"

	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/internal/config"
)

// want numbers a configuration that differs from the one wanted last. One that
// comes back gets a new number: a pod that has it has all that it contains.
func (g *gateway) want(checksum string) {
	if checksum == g.current && g.number > 0 {
		return
	}
	g.number++
	g.current = checksum
	g.numbers[checksum] = g.number
	g.order = append(g.order, checksum)
	if len(g.order) <= history {
		return
	}
	oldest := g.order[0]
	g.order = g.order[1:]
	if g.numbers[oldest] <= g.number-history {
		delete(g.numbers, oldest)
	}
}

// setRoutes notes new, changed and gone Routes and returns their names.
func (g *gateway) setRoutes(forms map[string]string) []string {
	var changed []string
	for name, form := range forms {
		if r := g.routes[name]; r == nil || r.form != form {
			g.routes[name] = &route{form: form, since: g.number}
			changed = append(changed, name)
		}
	}
	for name := range g.routes {
		if _, ok := forms[name]; !ok {
			delete(g.routes, name)
			changed = append(changed, name)
		}
	}
	return changed
}

// setPods notes answers. A pod only moves forward: what it had, it has kept or
// replaced by something newer.
func (g *gateway) setPods(pods []Pod) {
	seen := map[types.UID]bool{}
	for _, p := range pods {
		seen[p.UID] = true
		known := g.pods[p.UID]
		if known == nil {
			known = &pod{}
			g.pods[p.UID] = known
		}
		known.Pod = p
		if p.Checksum == "" {
			continue
		}
		known.number = max(known.number, g.numbers[p.Checksum])
	}
	for uid := range g.pods {
		if !seen[uid] {
			delete(g.pods, uid)
		}
	}
}

// evaluate looks at each Route again and returns those that stand differently.
func (g *gateway) evaluate() []string {
	problems, certificates := g.problems(), g.certificates()
	var changed []string
	for name, r := range g.routes {
		live := g.live(name, r, problems)
		for _, host := range g.hosts[name] {
			if c, ok := certificates[host]; ok {
				live.Certificates = append(live.Certificates, c)
			}
		}
		if !reflect.DeepEqual(live, r.last) {
			r.last = live
			changed = append(changed, name)
		}
	}
	return changed
}

// live holds no counts: it would differ for every Route whenever a pod comes or goes.
func (g *gateway) live(name string, r *route, problems map[string][]finding) Live {
	ready, having := 0, 0
	for _, p := range g.pods {
		if !p.Ready {
			continue
		}
		ready++
		if p.number >= r.since {
			having++
		}
	}
	// Who comes later does not take back what was confirmed.
	r.confirmed = r.confirmed || ready > 0 && having == ready
	return Live{
		// A Route that was there when the board began may have been live on a pod
		// that has not answered since.
		Known:      r.confirmed || r.since > 1,
		Programmed: r.confirmed && ready > 0,
		NoPods:     ready == 0,
		Problems:   distinct(problems[name], r.since),
	}
}

// finding is a problem of a Route on a pod that has a configuration.
type finding struct {
	number  int
	problem config.Problem
}

// problems sorts what the ready pods report by Route: refusals, and conflicts
// that leave the Route something to serve.
func (g *gateway) problems() map[string][]finding {
	out := map[string][]finding{}
	for _, p := range g.pods {
		if !p.Ready {
			continue
		}
		for _, problem := range p.Problems {
			counts := problem.Severity == config.SeverityError || problem.Reason == config.ReasonConflicted
			if problem.Object.Kind == "Route" && counts {
				out[problem.Object.Name] = append(out[problem.Object.Name], finding{p.number, problem})
			}
		}
	}
	return out
}

// distinct gives the problems of pods that have the form, each once, in a fixed
// order.
func distinct(findings []finding, since int) []config.Problem {
	var out []config.Problem
	for _, f := range findings {
		if f.number >= since {
			out = insert(out, f.problem)
		}
	}
	return out
}

// insert keeps the list sorted and without doubles.
func insert(list []config.Problem, p config.Problem) []config.Problem {
	text := p.String()
	at := len(list)
	for i := range list {
		other := list[i].String()
		if other == text {
			return list
		}
		if other > text {
			at = i
			break
		}
	}
	list = append(list, config.Problem{})
	copy(list[at+1:], list[at:])
	list[at] = p
	return list
}
