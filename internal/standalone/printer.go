// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway"
)

// printer tells a person what is served, whenever that changes. It is told by the
// gateway, which must not wait for a terminal, so it prints on its own and may
// skip what is no longer true.
type printer struct {
	out     io.Writer
	gateway string
	// secrets is where the files of Secrets are; nobody else needs to know.
	secrets string
	wake    chan struct{}

	mu     sync.Mutex
	known  *Objects
	at     gateway.Addresses
	newest *gateway.Applied
	isUp   bool

	// Only run touches what it has printed.
	table string
	told  map[config.Problem]bool
	kept  map[config.ObjectRef]bool
}

func newPrinter(out io.Writer, name, secrets string) *printer {
	return &printer{
		out: out, gateway: name, secrets: secrets, wake: make(chan struct{}, 1),
		told: map[config.Problem]bool{}, kept: map[config.ObjectRef]bool{},
	}
}

func (p *printer) change(set func()) {
	p.mu.Lock()
	set()
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// applied leaves out what the gateway has before it has the manifests.
func (p *printer) applied(a gateway.Applied) {
	if a.Complete {
		p.change(func() { p.newest = &a })
	}
}

func (p *printer) ready(a gateway.Addresses) { p.change(func() { p.at, p.isUp = a, true }) }

// objects are those that problems are about from now on. There is no need to
// print yet.
func (p *printer) objects(o *Objects) {
	p.mu.Lock()
	p.known = o
	p.mu.Unlock()
}

// run prints until the context ends.
func (p *printer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		p.mu.Lock()
		a, o, at, isUp := p.newest, p.known, p.at, p.isUp
		p.mu.Unlock()
		if isUp && a != nil {
			_, _ = p.out.Write(p.text(*a, o, at))
		}
	}
}

// text is what has to be said: problems that are new, and the table if it changed.
func (p *printer) text(a gateway.Applied, o *Objects, at gateway.Addresses) []byte {
	var b bytes.Buffer
	problems := p.locate(a.Problems, o)
	now := map[config.Problem]bool{}
	news := false
	for _, x := range problems {
		now[x] = true
		if !p.told[x] {
			news = true
			fmt.Fprintln(&b, Line(x))
		}
	}
	kept := map[config.ObjectRef]bool{}
	for _, ref := range o.Kept {
		kept[ref] = true
		if !p.kept[ref] {
			fmt.Fprintf(&b, "%s: its last good version stays in use\n", ref)
		}
	}
	news = news || len(now) != len(p.told)
	first := p.table == ""
	p.told, p.kept = now, kept
	table := strings.ReplaceAll(tableOf(a.Routes), p.secrets+"/", "")
	switch {
	case first:
		fmt.Fprintf(&b, "\n%s\n\n%s\n", p.title(at), table)
	case table != p.table:
		fmt.Fprintf(&b, "\nreloaded: %s\n\n%s\n", outcome(a, problems), table)
	case news:
		fmt.Fprintf(&b, "reloaded: %s\n", outcome(a, problems))
	}
	p.table = table
	return b.Bytes()
}

// locate says where the problems are written, each of them once.
func (p *printer) locate(problems []config.Problem, o *Objects) []config.Problem {
	gw, err := o.Gateway(p.gateway)
	if err != nil {
		gw = &v1alpha1.Gateway{}
	}
	var mine, others []config.Problem
	aboutSecrets := map[config.ObjectRef]bool{}
	for _, x := range problems {
		if x.Object.Source != sourceManifests {
			others = append(others, o.ofGateway(gw, []config.Problem{x})...)
			continue
		}
		mine = append(mine, x)
		if ofSecret(x) {
			aboutSecrets[anySource(x.Object)] = true
		}
	}
	// That a file is missing has been said of the Secret it would come from.
	others = slices.DeleteFunc(others, func(x config.Problem) bool { return ofSecret(x) && aboutSecrets[anySource(x.Object)] })
	return o.withoutConsequences(o.locateAll(join(mine, others)))
}

func anySource(ref config.ObjectRef) config.ObjectRef {
	ref.Source = ""
	return ref
}

// title says where the gateway listens.
func (p *printer) title(at gateway.Addresses) string {
	text := "Gateway " + p.gateway + " is up:"
	for _, l := range [][2]string{{"http", at.Web}, {"https", at.WebSecure}} {
		if l[1] != "" {
			text += " " + l[0] + "://" + l[1]
		}
	}
	if at.Admin != "" {
		text += " (admin http://" + at.Admin + ")"
	}
	return text
}

// outcome counts: 2 routes, 1 middleware, 1 error.
func outcome(a gateway.Applied, problems []config.Problem) string {
	text := count(len(a.Routes), "route") + ", " + count(a.Middlewares, "middleware")
	errs := 0
	for _, x := range problems {
		if x.Severity == config.SeverityError {
			errs++
		}
	}
	if errs > 0 {
		text += ", " + count(errs, "error")
	}
	return text
}
