// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package gitsource reads routes and middlewares from a Git repository, over HTTP
// and ssh.
//
// It speaks the protocol itself, and only the half of it that reads: one commit,
// without its history, is fetched into memory, and the documents are read out of
// it. Nothing is checked out, so a link or a name in the repository can lead
// nowhere on this machine; no hook, filter or submodule is ever run; and what a
// server sends has limits of size and time. On disk there is one file, with the
// last good documents.
package gitsource

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source"
	"gateway.jkaninda.dev/goma/internal/gateway/source/lastgood"
	"gateway.jkaninda.dev/goma/internal/gateway/source/webclient"
)

const field = "gateway.providers.git.url"

// The bounds of one try.
const (
	timeout     = 2 * time.Minute
	maxGreeting = 64 << 20
	maxIn       = maxPackBytes + maxPackBytes/4
	// maxRounds bounds how often single blobs are asked for: links may lead to
	// links.
	maxRounds = maxLinks
)

// fetcher reads one repository. It is used by one goroutine at a time.
type fetcher struct {
	address   config.GitAddress
	auth      *config.GitAuth
	branch    string
	folder    string
	origin    string
	file      string
	agent     string
	client    *webclient.Client
	documents *source.Documents

	// commit is the one that is in use; zero when it has to be read again.
	commit oid
	// restored is what is on disk until the server has confirmed it.
	restored *lastgood.Record
}

// New makes the source of a setting to which defaults have been applied and which
// has passed the checks.
func New(p *config.GitProvider, version string, parse source.Parser) (*source.Remote, error) {
	address, err := config.ParseGitURL(p.URL)
	if err != nil {
		return nil, fmt.Errorf("%s %w", field, err)
	}
	f := &fetcher{
		address: address, auth: p.Auth, branch: p.Branch, folder: strings.Trim(p.Path, "/"),
		file: LastGoodFile(p.CloneDir), agent: "goma-gateway/" + version, documents: source.NewDocuments(parse),
	}
	f.origin = fmt.Sprintf("%s %s:%s", address, f.branch, f.folder)
	var t webclient.TLS
	if p.TLS != nil {
		t = webclient.TLS{
			InsecureSkipVerify: p.TLS.InsecureSkipVerify, RootCAs: p.TLS.RootCAs,
			ClientCert: p.TLS.ClientCert, ClientKey: p.TLS.ClientKey.Reveal(),
		}
	}
	f.client = webclient.New(t)
	return source.NewRemote(source.RemoteOptions{
		Name: "git", Kind: config.SourceGit, Origin: address.String(), Field: field,
		Interval: p.Interval.Std(), Attempts: 2, RetryDelay: 2 * time.Second,
	}, f), nil
}

// LastGoodFile gives the path of the file on disk, in the folder of the setting or
// in one for temporary files. Nothing else in that folder is touched. S4
func LastGoodFile(cloneDir string) string {
	if cloneDir == "" {
		cloneDir = filepath.Join(os.TempDir(), "goma", "providers", "git")
	}
	return filepath.Join(cloneDir, "goma-git.json")
}

// Restore implements source.Fetcher.
func (f *fetcher) Restore() (*source.Content, error) {
	record, err := lastgood.Load(f.file, f.origin)
	if err != nil || record == nil {
		return nil, err
	}
	f.restored = record
	f.commit, _ = parseOID(record.Values["commit"])
	content := f.content(record.Documents, record.Values["version"])
	content.Confirmed = record.Confirmed
	return content, nil
}

func (f *fetcher) content(files map[string][]byte, version string) *source.Content {
	bundle, problems := f.documents.Set(files)
	bundle.Version = version
	return &source.Content{Bundle: bundle, Problems: problems, Checksum: version}
}

// Close implements source.Fetcher.
func (f *fetcher) Close() { f.client.Close() }

// Fetch implements source.Fetcher.
func (f *fetcher) Fetch(ctx context.Context, _ bool) (source.Fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := f.connect(ctx)
	if err != nil {
		return source.Fetched{}, inTime(ctx, err)
	}
	defer r.close()
	commit, err := r.resolve(ctx, f.branch)
	if err != nil {
		return source.Fetched{}, inTime(ctx, err)
	}
	var out source.Fetched
	if commit == f.commit {
		if f.restored != nil {
			f.restored.Confirmed = time.Now()
			out.Problems = f.keep(*f.restored)
			f.restored = nil
		}
		return out, nil
	}
	tree, err := f.read(ctx, r, commit)
	if err != nil {
		return source.Fetched{}, inTime(ctx, err)
	}
	version := "git-" + hex.EncodeToString(commit[:4])
	out.Content = f.content(tree.files, version)
	out.Content.Problems = append(out.Content.Problems, tree.problems...)
	f.commit, f.restored = commit, nil
	good, newest := f.documents.Good()
	values := map[string]string{"version": version, "commit": commit.String()}
	if !newest || len(tree.problems) > 0 {
		// The next process reads the commit again, to say what is wrong with it.
		delete(values, "commit")
	}
	out.Problems = f.keep(lastgood.Record{Origin: f.origin, Confirmed: time.Now(), Values: values, Documents: good})
	return out, nil
}

// connect opens a session and reads the greeting.
func (f *fetcher) connect(ctx context.Context) (*remote, error) {
	var s session
	if f.address.Scheme == "ssh" {
		over, err := dialSSH(ctx, f.address, f.auth, maxGreeting+maxIn)
		if err != nil {
			return nil, err
		}
		s = over
	} else {
		over := &httpSession{client: f.client, agent: f.agent, maxGreeting: maxGreeting, maxIn: maxIn}
		over.base = &url.URL{Scheme: f.address.Scheme, Host: f.address.Host}
		if err := setEscapedPath(over.base, strings.TrimSuffix(f.address.Path, "/")); err != nil {
			return nil, errors.New("the URL cannot be used")
		}
		over.user, over.password = credentials(f.address, f.auth)
		s = over
	}
	r, err := connect(ctx, s, f.agent)
	if err != nil {
		s.close()
		return nil, err
	}
	return r, nil
}

// credentials gives user and password: a token is the password of the user git.
func credentials(a config.GitAddress, auth *config.GitAuth) (user, password string) {
	if auth == nil {
		return a.User, a.Password.Reveal()
	}
	switch strings.ToLower(auth.Type) {
	case "token":
		if auth.Token != "" {
			return "git", auth.Token.Reveal()
		}
	case "basic":
		return auth.Username.Reveal(), auth.Password.Reveal()
	}
	return "", ""
}

// read gets the documents of a commit: all at once, or, where the server can leave
// out blobs, first the trees and then what is needed of them.
func (f *fetcher) read(ctx context.Context, r *remote, commit oid) (*walk, error) {
	partial := r.filters()
	objects, err := r.fetch(ctx, []oid{commit}, true, partial)
	if err != nil {
		return nil, err
	}
	for range maxRounds {
		w, err := documents(objects, commit, f.folder)
		if err != nil || len(w.missing) == 0 {
			return w, err
		}
		if !partial {
			return nil, errMissing
		}
		wants := slices.SortedFunc(maps.Keys(w.missing), func(a, b oid) int { return slices.Compare(a[:], b[:]) })
		more, err := r.fetch(ctx, wants, false, false)
		if err != nil {
			return nil, err
		}
		maps.Copy(objects, more)
		for _, id := range wants {
			if _, ok := objects[id]; !ok {
				return nil, errMissing
			}
		}
	}
	return nil, errors.New("the repository's symbolic links lead through too many others")
}

// inTime says that the time is over where that is why something broke.
func inTime(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it took longer than %v", timeout)
	}
	return err
}

// keep writes the file. A disk that is full is no reason not to serve.
func (f *fetcher) keep(r lastgood.Record) []config.Problem {
	err := lastgood.Save(f.file, r)
	if err == nil {
		return nil
	}
	return []config.Problem{{
		Object: config.ObjectRef{Kind: "Gateway"}, Field: "gateway.providers.git.cloneDir", Reason: config.ReasonUnreadable,
		Severity: config.SeverityWarning,
		Message: fmt.Sprintf("the last good documents cannot be kept: %v; a gateway that starts while the server is away "+
			"will have no routes of it; name a folder that it may write to", webclient.Steady(err)),
	}}
}
