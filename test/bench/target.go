// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"
)

//go:embed templates
var templates embed.FS

// Target is one proxy: how it is configured, started and told to reload. The
// words of commands and the files are templates over Settings.
type Target struct {
	Name string
	// Files are written before the start, each from the template beside it.
	Files map[string]string
	Cmd   []string
	Env   map[string]string
	// Version is a command that prints one.
	Version []string
	// Check, if set, fails when the target cannot run the chain with JWT.
	Check []string
	// Reload makes it read its files again; without one it watches them.
	Reload []string
	// Lacks says which part of the chain it has not.
	Lacks string
}

// targets are tuned alike: connections to the origin are kept, Host and
// X-Forwarded-* are passed on, the certificate is the same, TLS sessions are not
// resumed, and there is no access log but in the chain.
var targets = []Target{
	{
		Name: baseline, Lacks: "no JWT",
		Files:   map[string]string{"nginx.conf": "nginx.conf.tmpl"},
		Cmd:     []string{"nginx", "-p", "{{.Dir}}", "-c", "{{.Dir}}/nginx.conf"},
		Version: []string{"nginx", "-v"},
		Reload:  []string{"kill", "-HUP", "{{.PID}}"},
	},
	{
		Name:    "haproxy",
		Files:   map[string]string{"haproxy.cfg": "haproxy.cfg.tmpl", "routes.map": "haproxy.map.tmpl"},
		Cmd:     []string{"haproxy", "-W", "-q", "-f", "{{.Dir}}/haproxy.cfg"},
		Version: []string{"haproxy", "-v"},
		Reload:  []string{"kill", "-USR2", "{{.PID}}"},
	},
	{
		Name: "caddy", Lacks: "no JWT, no rate limit",
		Files:   map[string]string{"caddy.json": "caddy.json.tmpl"},
		Cmd:     []string{"caddy", "run", "--config", "{{.Dir}}/caddy.json"},
		Env:     map[string]string{"GOMAXPROCS": "{{.Workers}}", "HOME": "{{.Dir}}"},
		Version: []string{"sh", "-c", "echo $CADDY_VERSION"}, // Caddy does not know when it is built as a module
		Reload:  []string{"caddy", "reload", "--address", "127.0.0.1:{{.AdminPort}}", "--config", "{{.Dir}}/caddy.json"},
	},
	{
		Name: "goma", Lacks: "this build has no JWT",
		Files:   map[string]string{"goma.yml": "goma.yml.tmpl"},
		Cmd:     []string{"goma-gateway", "--config", "{{.Dir}}/goma.yml"},
		Env:     map[string]string{"GOMAXPROCS": "{{.Workers}}"},
		Version: []string{"goma-gateway", "--version"},
		Check:   []string{"goma-gateway", "config", "check", "--config", "{{.Dir}}/goma.yml"},
	},
}

const baseline = "nginx"

// Settings are what templates see.
type Settings struct {
	// Dir is the target's own directory.
	Dir string
	// Port, TLSPort and AdminPort are free ports of 127.0.0.1.
	Port, TLSPort, AdminPort int
	// Origin is host:port of what stands behind.
	Origin string
	// Cert and Key are PEM files, CertKey is both in one.
	Cert, Key, CertKey string
	Workers            int
	// PID is that of the running target, for its reload command.
	PID       int
	Kind      string
	Routes    []Route
	Chain     bool
	JWT       bool
	JWTSecret string
}

// instance is a running target.
type instance struct {
	*Target
	settings Settings
	process  *process
	// remark is what the reader of its figures should know.
	remark string
}

// expand fills in one template.
func expand(text string, s *Settings) (string, error) {
	t, err := template.New("").Parse(text)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = t.Execute(&b, s)
	return b.String(), err
}

func expandAll(words []string, s *Settings) ([]string, error) {
	list := make([]string, len(words))
	for i, w := range words {
		var err error
		if list[i], err = expand(w, s); err != nil {
			return nil, fmt.Errorf("%q: %w", w, err)
		}
	}
	return list, nil
}

// render writes the files, each moved into place whole.
func (t *instance) render() error {
	for name, source := range t.Files {
		raw, err := templates.ReadFile("templates/" + source)
		if err != nil {
			return err
		}
		text, err := expand(string(raw), &t.settings)
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		beside := filepath.Join(t.settings.Dir, "."+name)
		if err := os.WriteFile(beside, []byte(text), 0o644); err != nil {
			return err
		}
		if err := os.Rename(beside, filepath.Join(t.settings.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// launch starts a target and waits until its last route answers.
func launch(ctx context.Context, t *Target, s Settings, cpus string) (*instance, error) {
	i := &instance{Target: t, settings: s}
	if err := os.MkdirAll(filepath.Join(s.Dir, "certs"), 0o755); err != nil {
		return nil, err
	}
	if err := i.configure(ctx); err != nil {
		return nil, err
	}
	command, err := expandAll(t.Cmd, &i.settings)
	if err != nil {
		return nil, err
	}
	var env []string
	for name, value := range t.Env {
		if value, err = expand(value, &i.settings); err != nil {
			return nil, err
		}
		env = append(env, name+"="+value)
	}
	if i.process, err = start(filepath.Join(s.Dir, "access.log"), cpus, env, command...); err != nil {
		return nil, err
	}
	i.settings.PID = i.process.pid()
	if err := i.awaitReady(ctx); err != nil {
		i.process.stop()
		return nil, err
	}
	return i, nil
}

// configure writes the files; a target that cannot check tokens goes without.
func (t *instance) configure(ctx context.Context) error {
	t.settings.JWT = t.settings.Chain
	if err := t.render(); err != nil {
		return err
	}
	if !t.settings.Chain {
		return nil
	}
	if len(t.Check) == 0 {
		t.remark = t.Lacks
		return nil
	}
	command, err := expandAll(t.Check, &t.settings)
	if err != nil {
		return err
	}
	if exec.CommandContext(ctx, command[0], command[1:]...).Run() == nil {
		return nil
	}
	t.remark, t.settings.JWT = t.Lacks, false
	return t.render()
}

// readyTime is how long a target may take to serve all its routes.
const readyTime = 3 * time.Minute

// awaitReady asks for the last route again and again: a listener may open before
// its routes are live.
func (t *instance) awaitReady(ctx context.Context) error {
	last := t.settings.Routes[len(t.settings.Routes)-1]
	for limit := time.Now().Add(readyTime); time.Now().Before(limit); {
		status := t.probe(last)
		if status == 200 {
			return nil
		}
		select {
		case <-t.process.ended:
			return fmt.Errorf("ended before it was ready: %s", t.process.complaint())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.New("was not ready in time: " + t.process.complaint())
}

// change writes the files anew and makes the target read them.
func (t *instance) change(ctx context.Context) error {
	if err := t.render(); err != nil {
		return err
	}
	if len(t.Reload) == 0 {
		return nil
	}
	command, err := expandAll(t.Reload, &t.settings)
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("reloading: %w: %s", err, out)
	}
	return nil
}
