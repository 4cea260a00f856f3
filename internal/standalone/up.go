// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
)

// ErrRefused says that manifests were refused; the problems have been printed.
var ErrRefused = errors.New("the manifests were refused")

// Options say what Up runs.
type Options struct {
	// Paths are files and directories of manifests. Without any, a built-in
	// example runs, with a backend of its own.
	Paths []string
	// Stdin is read when one of the paths is Stdin.
	Stdin io.Reader
	// Gateway is NAME or NAMESPACE/NAME; it may be empty when there is one only.
	Gateway string
	// HTTP, HTTPS and Admin are the addresses to listen on; gateway.None is no
	// listener. An empty Admin is the default one, if it is free.
	HTTP, HTTPS, Admin string
	// Resolve sends connections to backends elsewhere: host:port to host:port.
	Resolve map[string]string
	// Out takes the table of what is served and the problems; Log the log, and the
	// problems of manifests that are refused at the start.
	Out, Log io.Writer
	// Env is the environment; nil is that of the process.
	Env config.Expander
	// Ready is called once everything is served.
	Ready func(gateway.Addresses)

	// stdinName stands for the standard input in problems.
	stdinName string
}

// Up serves manifests until the context ends, and follows their changes. It
// refuses to start with manifests that the API server would refuse; afterwards an
// edit that breaks something leaves the last good version in use.
func Up(ctx context.Context, o Options) (err error) {
	if o.Env == nil {
		o.Env = config.OSEnv
	}
	if len(o.Paths) == 0 {
		stop, err := o.quickstart()
		if err != nil {
			return err
		}
		defer stop()
	}
	r, err := newRunner(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.workspace.remove()) }()
	ctx, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	parts.Go(func() { r.printer.run(ctx) })
	parts.Go(func() { r.follow(ctx) })
	return hint(gateway.Run(ctx, r.gatewayOptions()))
}

// hint adds the way out to an error that people run into.
func hint(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; choose another with --http, --https or --admin, or none to go without", err)
	}
	return err
}

// runner keeps a gateway in step with manifests. Only its follow touches it while
// the gateway runs.
type runner struct {
	o         Options
	loader    *Loader
	workspace *workspace
	memory    *source.Memory
	printer   *printer

	// name is the Gateway that was chosen at the start.
	name string
	env  variables
}

// newRunner reads the manifests for the first time.
func newRunner(o Options) (r *runner, err error) {
	loader, err := NewLoader(o.Paths, o.Stdin)
	if err != nil {
		return nil, err
	}
	if o.stdinName != "" {
		loader.stdinName = o.stdinName
	}
	objects, problems, err := loader.Load()
	if err != nil {
		return nil, err
	}
	if config.HasErrors(problems) {
		Sort(problems)
		Print(o.Log, problems)
		return nil, ErrRefused
	}
	if objects.Files == 0 {
		return nil, noManifests(o.Paths)
	}
	gw, err := objects.Gateway(o.Gateway)
	if err != nil {
		return nil, err
	}
	r = &runner{
		o: o, loader: loader, memory: source.NewMemory("manifests", config.SourceKubernetes),
		name: gw.Namespace + "/" + gw.Name,
	}
	if r.workspace, err = newWorkspace(); err != nil {
		return nil, err
	}
	r.printer = newPrinter(o.Out, r.name, r.workspace.secrets.dir)
	update, err := r.update(objects, problems)
	if err != nil {
		return nil, errors.Join(err, r.workspace.remove())
	}
	r.memory.Publish(update)
	return r, nil
}

func (r *runner) gatewayOptions() gateway.Options {
	noDelay := time.Duration(0)
	return gateway.Options{
		ConfigFile: r.workspace.configFile(), Env: r.env.expander(r.o.Env), Sources: []source.Source{r.memory},
		RouteFiles: r.workspace.secrets.dir, SecretsDir: r.workspace.secrets.dir,
		Web: r.o.HTTP, WebSecure: r.o.HTTPS, Admin: r.o.Admin,
		Resolve: lowerKeys(r.o.Resolve), LogWriter: r.o.Log, DrainDelay: &noDelay,
		Report:  func(config.Problem) {}, // the printer says it, and where it is written
		OnApply: r.printer.applied,
		Ready: func(a gateway.Addresses) {
			r.printer.ready(a)
			if r.o.Ready != nil {
				r.o.Ready(a)
			}
		},
	}
}

// lowerKeys makes hosts comparable.
func lowerKeys(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[strings.ToLower(k)] = v
	}
	return out
}

// update brings the files of the gateway in step with the objects and gives what
// to publish. The order matters: the gateway may read a file as soon as something
// names it.
func (r *runner) update(o *Objects, problems []config.Problem) (source.Update, error) {
	gw, err := o.Gateway(r.name)
	if err != nil {
		return source.Update{}, err
	}
	plan, err := NewPlan(o, gw, r.workspace.paths())
	if err != nil {
		return source.Update{}, err
	}
	bundle, found, err := served(plan.Bundle, config.DynamicEnv(nil))
	if err != nil {
		return source.Update{}, err
	}
	env := plan.secretEnvironment(o)
	r.env.set(env)
	r.printer.objects(o)
	if err := r.workspace.write(o, plan, env); err != nil {
		return source.Update{}, err
	}
	all := join(problems, o.attachments(), unserved(plan.Problems), o.relocate(found))
	return source.Update{Bundle: bundle, Problems: fromManifests(o.locateAll(all))}, nil
}

// unserved makes the missing Secret of a Route or Middleware an error: there is no
// cluster in which it might exist, so the Routes answer 503.
func unserved(problems []config.Problem) []config.Problem {
	out := slices.Clone(problems)
	for i, p := range out {
		if (p.Object.Kind == "Route" || p.Object.Kind == "Middleware") && p.Reason == config.ReasonSecretNotFound {
			out[i].Severity = config.SeverityError
		}
	}
	return out
}

// sourceManifests is the source of problems whose positions are known.
const sourceManifests = "file"

func fromManifests(problems []config.Problem) []config.Problem {
	for i := range problems {
		problems[i].Object.Source = sourceManifests
	}
	return problems
}
