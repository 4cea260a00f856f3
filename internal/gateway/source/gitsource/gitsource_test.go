// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

// protocols are what servers may speak.
var protocols = []struct {
	name string
	set  func(t *testing.T, repo *repository, s *server)
}{
	{"version 2", func(*testing.T, *repository, *server) {}},
	{"version 2 with filters", func(_ *testing.T, repo *repository, _ *server) {
		repo.run(repo.bare, "config", "uploadpack.allowFilter", "true")
	}},
	{"version 0", func(_ *testing.T, _ *repository, s *server) {
		s.set(func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("Git-Protocol"); return true })
	}},
}

func TestARepositoryIsFollowed(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			repo := newRepository(t)
			repo.write("a.yaml", route("a"))
			repo.write("sub/b.yml", route("b"))
			repo.write("sub/c.json", `{"routes":[{"name":"c","path":"/c","target":"http://127.0.0.1:1"}]}`)
			repo.write(".hidden/d.yaml", route("d"))
			repo.write("README.md", strings.Repeat("no route\n", 1000))
			commit := repo.push()
			s := serve(t, repo)
			p.set(t, repo, s)
			r := run(t, settings(t, s.URL+"/r.git"))
			u := r.next()
			if names(u) != "a b c" || len(u.Problems) != 0 || u.Bundle.Version != "git-"+commit[:8] {
				t.Fatalf("%s, version %s, %v", names(u), u.Bundle.Version, u.Problems)
			}
			before := s.count()
			if _, n, err := r.refresh(); n != 0 || err != nil {
				t.Errorf("nothing has changed, and there are %d updates, %v", n, err)
			}
			if n := s.count() - before; n > 2 {
				t.Errorf("an unchanged repository takes %d requests", n)
			}
			// Deltas against what was there: the same file with one more line.
			long := route("long") + strings.Repeat("# a line that stays the same\n", 5000)
			repo.write("long.yaml", long)
			repo.push()
			r.expect("a long b c")
			repo.write("long.yaml", long+"# one more\n")
			repo.write("long2.yaml", strings.ReplaceAll(long, "name: long", "name: long2"))
			repo.push()
			r.expect("a long long2 b c")
			repo.git("rm", "-q", "a.yaml", "long.yaml", "long2.yaml")
			repo.push()
			next := r.expect("b c")
			if next.Bundle.Routes[0] != u.Bundle.Routes[1] {
				t.Error("a route that did not change is another object")
			}
		})
	}
}

func TestARewrittenHistoryIsFollowed(t *testing.T) { // S4
	t.Parallel()
	repo := newRepository(t)
	repo.write("a.yaml", route("a"))
	first := repo.push()
	repo.write("b.yaml", route("b"))
	repo.push()
	s := serve(t, repo)
	r := run(t, settings(t, s.URL+"/r.git"))
	if u := r.next(); names(u) != "a b" {
		t.Fatal(names(u))
	}
	repo.git("reset", "-q", "--hard", first)
	repo.write("c.yaml", route("c"))
	repo.push("--force")
	r.expect("a c")
	repo.git("checkout", "-q", "--orphan", "other")
	repo.git("rm", "-rfq", ".")
	repo.write("z.yaml", route("z"))
	repo.git("add", "-A")
	repo.git("commit", "-q", "-m", "anew")
	repo.git("push", "-q", "--force", "origin", "HEAD:main")
	r.expect("z")
}

func TestOnlyOneCommitIsFetched(t *testing.T) {
	t.Parallel()
	repo := newRepository(t)
	for i := range 30 {
		repo.write("a.yaml", route(fmt.Sprint("a", i)))
		repo.git("add", "-A")
		repo.git("commit", "-q", "-m", "change")
	}
	repo.push()
	s := serve(t, repo)
	session := &httpSession{client: clientOf(), agent: "test", maxGreeting: maxGreeting, maxIn: maxIn, base: parsed(t, s.URL+"/r.git")}
	r, err := connect(t.Context(), session, "test")
	check(t, err)
	defer r.close()
	commit, err := r.resolve(t.Context(), "main")
	check(t, err)
	objects, err := r.fetch(t.Context(), []oid{commit}, true, false)
	check(t, err)
	if len(objects) != 3 { // commit, tree, blob
		t.Errorf("%d objects", len(objects))
	}
}

func TestABranchATagOrACommitIsRead(t *testing.T) {
	t.Parallel()
	repo := newRepository(t)
	repo.write("a.yaml", route("a"))
	first := repo.push()
	repo.git("tag", "light")
	repo.git("tag", "-a", "-m", "m", "annotated")
	repo.git("push", "-q", "origin", "light", "annotated")
	repo.write("a.yaml", route("b"))
	repo.push()
	repo.git("push", "-q", "origin", "HEAD:refs/heads/feature/x", "HEAD:refs/heads/feature/xy")
	s := serve(t, repo)
	for _, p := range protocols[:2] {
		p.set(t, repo, s)
		for name, want := range map[string]string{
			"main": "b", "light": "a", "annotated": "a", "refs/tags/annotated": "a", "feature/x": "b", "refs/heads/main": "b", first: "a",
		} {
			p := settings(t, s.URL+"/r.git")
			p.Branch = name
			if u := run(t, p).next(); names(u) != want || len(u.Problems) != 0 {
				t.Errorf("%s gives %s, %v", name, names(u), u.Problems)
			}
		}
	}
	p := settings(t, s.URL+"/r.git")
	p.Branch = "feature"
	if u := run(t, p).next(); u.Bundle != nil || !strings.Contains(u.Problems[0].Message, `neither a branch nor a tag "feature"`) {
		t.Errorf("%+v", u)
	}
}

func TestNothingLeadsOutOfTheRepository(t *testing.T) { // S4, T8
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside.yaml")
	check(t, os.WriteFile(outside, []byte(route("outside")), 0o644))
	repo := newRepository(t)
	repo.write("conf/a.yaml", route("a"))
	repo.write("shared/b.yaml", route("b"))
	repo.write("shared/deep/c.yaml", route("c"))
	link := func(target, name string) { check(t, os.Symlink(target, filepath.Join(repo.dir, name))) }
	link("../shared/b.yaml", "conf/inside.yaml")
	link("../shared/deep", "conf/folder")
	link(outside, "conf/absolute.yaml")
	link("../../outside.yaml", "conf/relative.yaml")
	link("nowhere.yaml", "conf/broken.yaml")
	link("loop2.yaml", "conf/loop1.yaml")
	link("loop1.yaml", "conf/loop2.yaml")
	link("..", "conf/up") // back to the root, which holds conf
	link("conf", "current")
	link("../../../../etc", "escape")
	repo.push()
	s := serve(t, repo)
	for _, p := range protocols {
		p.set(t, repo, s)
		for _, folder := range []string{"conf", "/conf/", "current"} {
			p := settings(t, s.URL+"/r.git")
			p.Path = folder
			u := run(t, p).next()
			got := strings.Fields(names(u))
			for _, want := range []string{"a", "b", "c"} {
				if !strings.Contains(" "+names(u)+" ", " "+want+" ") {
					t.Errorf("%s lacks %s: %v", folder, want, got)
				}
			}
			if strings.Contains(names(u), "outside") {
				t.Errorf("%s holds a file of the machine", folder)
			}
			text := fmt.Sprint(u.Problems)
			for _, bad := range []string{"conf/absolute.yaml", "relative.yaml", "conf/broken.yaml", "conf/loop1.yaml"} {
				if !strings.Contains(text, bad) {
					t.Errorf("nobody says that %s is not read: %s", bad, text)
				}
			}
		}
		for folder, says := range map[string]string{"escape": "leads out of the repository", "nothing": "has no nothing", "conf/a.yaml/x": "has no folder conf/a.yaml"} {
			p := settings(t, s.URL+"/r.git")
			p.Path = folder
			if u := run(t, p).next(); u.Bundle != nil || !strings.Contains(fmt.Sprint(u.Problems), says) {
				t.Errorf("%s: %+v", folder, u)
			}
		}
	}
}

func TestSubmodulesAreNotRead(t *testing.T) { // S4
	t.Parallel()
	repo := newRepository(t)
	repo.write("a.yaml", route("a"))
	first := repo.push()
	repo.git("update-index", "--add", "--cacheinfo", "160000,"+first+",sub.yaml")
	repo.write(".gitmodules", "[submodule \"sub\"]\n\tpath = sub.yaml\n\turl = ext::sh -c touch% /tmp/owned\n")
	repo.git("add", ".gitmodules")
	repo.git("commit", "-q", "-m", "submodule")
	repo.git("push", "-q", "origin", "HEAD")
	s := serve(t, repo)
	if u := run(t, settings(t, s.URL+"/r.git")).next(); names(u) != "a" || len(u.Problems) != 0 {
		t.Errorf("%s, %v", names(u), u.Problems)
	}
}

func TestABrokenFileKeepsItsLastGoodContent(t *testing.T) { // S1, C4
	t.Parallel()
	repo := newRepository(t)
	repo.write("a.yaml", route("a"))
	repo.write("b.yaml", route("b"))
	repo.push()
	s := serve(t, repo)
	p := settings(t, s.URL+"/r.git")
	r := run(t, p)
	r.next()
	repo.write("a.yaml", "routes: [")
	repo.write("b.yaml", route("b2"))
	repo.push()
	u := r.expect("a b2")
	if len(u.Problems) != 1 || u.Problems[0].Object.Name != "a.yaml" || !strings.Contains(u.Problems[0].Message, "last good") {
		t.Errorf("%v", u.Problems)
	}
	r.stop()
	// The next process knows the good content too, and what is wrong with the new.
	r = run(t, p)
	if u = r.next(); names(u) != "a b2" || len(u.Problems) != 1 {
		t.Errorf("%s, %v", names(u), u.Problems)
	}
	repo.write("a.yaml", route("a3"))
	repo.push()
	if u = r.expect("a3 b2"); len(u.Problems) != 0 {
		t.Errorf("%v", u.Problems)
	}
}

func TestAGatewayStartsWhileTheServerIsAway(t *testing.T) { // S1, B1
	t.Parallel()
	repo := newRepository(t)
	repo.write("a.yaml", route("a"))
	repo.push()
	s := serve(t, repo)
	p := settings(t, s.URL+"/r.git")
	check(t, os.MkdirAll(filepath.Join(p.CloneDir, "precious"), 0o755))
	check(t, os.WriteFile(filepath.Join(p.CloneDir, "precious", "thesis"), []byte("x"), 0o644))
	r := run(t, p)
	r.next()
	r.stop()
	if info, err := os.Stat(LastGoodFile(p.CloneDir)); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	s.set(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return false })
	r = run(t, p)
	u := r.next()
	if names(u) != "a" || len(u.Problems) != 1 || !strings.Contains(u.Problems[0].Message, "an earlier process") {
		t.Fatalf("%+v", u)
	}
	s.set(nil)
	if u, n, err := r.refresh(); err != nil || n != 1 || names(u) != "a" || len(u.Problems) != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	r.stop()
	// Another repository, branch or folder in the same place is not mixed up. S4
	s.set(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return false })
	for _, change := range []func(*config.GitProvider){
		func(p *config.GitProvider) { p.URL = s.URL + "/other.git" },
		func(p *config.GitProvider) { p.Branch = "other" },
		func(p *config.GitProvider) { p.Path = "other" },
	} {
		other := *p
		change(&other)
		if u := run(t, &other).next(); u.Bundle != nil {
			t.Errorf("%+v gives %s", other, names(u))
		}
	}
	if _, err := os.Stat(filepath.Join(p.CloneDir, "precious", "thesis")); err != nil {
		t.Errorf("cloneDir was cleared: %v", err)
	}
}

func TestCredentialsAreShownAndNeverSaid(t *testing.T) { // C8, S4
	t.Parallel()
	repo := newRepository(t)
	repo.write("a.yaml", route("a"))
	repo.push()
	for _, c := range []struct {
		name     string
		auth     *config.GitAuth
		inURL    string
		user, pw string
	}{
		{"a token", &config.GitAuth{Type: "token", Token: "canary"}, "", "git", "canary"},
		{"a user", &config.GitAuth{Type: "basic", Username: "u", Password: "canary"}, "", "u", "canary"},
		{"in the URL", nil, "u:canary@", "u", "canary"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, repo)
			good := c.pw
			s.set(func(w http.ResponseWriter, r *http.Request) bool {
				if user, pw, _ := r.BasicAuth(); user != c.user || pw != good {
					w.Header().Set("WWW-Authenticate", "Basic")
					w.WriteHeader(401)
					return false
				}
				return true
			})
			p := settings(t, strings.Replace(s.URL, "://", "://"+c.inURL, 1)+"/r.git")
			p.Auth = c.auth
			r := run(t, p)
			if u := r.next(); names(u) != "a" {
				t.Fatalf("%+v", u)
			}
			s.set(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(401); return false })
			u, _, err := r.refresh()
			text := fmt.Sprint(u.Problems, err)
			if strings.Contains(text, "canary") || !strings.Contains(text, "check gateway.providers.git.auth") {
				t.Errorf("%s", text)
			}
			file, _ := os.ReadFile(LastGoodFile(p.CloneDir))
			if len(file) == 0 || strings.Contains(string(file), "canary") {
				t.Errorf("on disk: %s", file)
			}
		})
	}
}

func TestARepositoryThatMovedIsReadWithoutCredentials(t *testing.T) { // S4
	t.Parallel()
	repo := newRepository(t)
	repo.write("a.yaml", route("a"))
	repo.push()
	there, here := serve(t, repo), serve(t, repo)
	there.set(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "" {
			t.Error("the credentials left their host")
		}
		return true
	})
	here.set(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, there.URL+r.URL.String(), http.StatusMovedPermanently)
		return false
	})
	p := settings(t, here.URL+"/r.git")
	p.Auth = &config.GitAuth{Type: "token", Token: "canary"}
	if u := run(t, p).next(); names(u) != "a" {
		t.Errorf("%+v", u)
	}
}
