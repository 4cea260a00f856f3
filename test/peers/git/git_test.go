// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
	"gateway.jkaninda.dev/goma/internal/gateway/source/gitsource"
)

// repository is a working copy and the bare one that is served.
func repository(t *testing.T) (bare string, push func(name string)) {
	t.Helper()
	command(t, "git", "git")
	root := t.TempDir()
	bare, work := filepath.Join(root, "r.git"), filepath.Join(root, "work")
	run(t, root, "git", "init", "-q", "--bare", "-b", "main", bare)
	run(t, root, "git", "clone", "-q", bare, work)
	return bare, func(name string) {
		text := fmt.Sprintf("routes:\n  - {name: %s, path: /%s, target: \"http://127.0.0.1:1\"}\n", name, name)
		must(t, os.WriteFile(filepath.Join(work, "routes.yaml"), []byte(text), 0o600))
		run(t, work, "git", "add", "-A")
		run(t, work, "git", "commit", "-q", "-m", "change")
		run(t, work, "git", "push", "-q", "origin", "HEAD:main")
	}
}

// provider is as the operator writes it: the key, and the known servers beside it.
func (s *server) provider(t *testing.T, bare, known string) *config.GitProvider {
	t.Helper()
	dir := t.TempDir()
	key, err := os.ReadFile(filepath.Join(s.folder, "client"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "ssh-privatekey"), key, 0o400))
	must(t, os.WriteFile(filepath.Join(dir, "known_hosts"), []byte(known), 0o400))
	return &config.GitProvider{
		Enabled: true, URL: fmt.Sprintf("ssh://%s@%s:%s%s", s.user, s.host, s.port, bare), Branch: "main",
		Interval: config.Duration(time.Hour), CloneDir: filepath.Join(t.TempDir(), "clone"),
		Auth: &config.GitAuth{Type: "ssh", SSHKeyPath: filepath.Join(dir, "ssh-privatekey")},
	}
}

// follow runs a source until the test ends.
func follow(t *testing.T, p *config.GitProvider) (*source.Remote, <-chan source.Update) {
	t.Helper()
	s, err := gitsource.New(p, "test", func(name string, data []byte) (*config.Bundle, []config.Problem, error) {
		return config.ParseBundle(name, data, config.LoadOptions{Source: "git"})
	})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	updates, done := make(chan source.Update, 100), make(chan error, 1)
	go func() { done <- s.Run(ctx, func(u source.Update) { updates <- u }) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
	return s, updates
}

func next(t *testing.T, updates <-chan source.Update) source.Update {
	t.Helper()
	select {
	case u := <-updates:
		return u
	case <-time.After(patience):
		t.Fatal("no update")
		return source.Update{}
	}
}

func serves(u source.Update, name string) bool {
	return u.Bundle != nil && len(u.Bundle.Routes) == 1 && u.Bundle.Routes[0].Name == name && len(u.Problems) == 0
}

// A server has keys of three kinds and whoever set it up knows one of them. By
// default OpenSSH takes no variables, so version 0 is spoken; some let the one of
// git through.
func TestARepositoryIsFollowedOverOpenSSH(t *testing.T) { // S4
	t.Parallel()
	for name, c := range map[string]struct {
		settings string
		kinds    []string
	}{
		"version 0": {"", []string{"rsa", "ecdsa", "ed25519"}},
		"version 2": {"AcceptEnv GIT_PROTOCOL", []string{"ed25519"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, c.settings)
			for _, kind := range c.kinds {
				s.follows(t, kind)
			}
		})
	}
}

// follows tests that a source reads a repository, and reads it again, from a server
// that is known by a key of this kind.
func (s *server) follows(t *testing.T, kind string) {
	t.Helper()
	bare, push := repository(t)
	push("a")
	remote, updates := follow(t, s.provider(t, bare, s.scan(kind)))
	if u := next(t, updates); !serves(u, "a") {
		t.Fatalf("%s: %+v", kind, u)
	}
	push("b")
	must(t, remote.Refresh(t.Context()))
	if u := next(t, updates); !serves(u, "b") {
		t.Errorf("%s: %+v", kind, u)
	}
}

func TestOpenSSHWithAnotherKeyIsNotAsked(t *testing.T) { // S4
	t.Parallel()
	s, other := start(t, ""), start(t, "")
	bare, push := repository(t)
	push("a")
	wrong := strings.ReplaceAll(other.scan("ed25519"), ":"+other.port, ":"+s.port)
	for name, known := range map[string]string{"another key": wrong, "no key": "", "a key of another server": other.scan("ed25519")} {
		_, updates := follow(t, s.provider(t, bare, known))
		if u := next(t, updates); u.Bundle != nil || !strings.Contains(fmt.Sprint(u.Problems), "key") {
			t.Errorf("%s: %+v", name, u)
		}
	}
}
