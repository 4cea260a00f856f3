// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestAGatewayStartsWhileTheServerIsAway(t *testing.T) { // S1, B1
	t.Parallel()
	s := plain(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		_, _ = io.WriteString(w, bundleA)
	})
	p := settings(t, s.URL)
	p.Headers = map[string]config.Secret{"X-Key": "canary"}
	r := run(t, p)
	r.next()
	r.stop()
	info, err := os.Stat(p.CacheDir)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if dir, err := os.Stat(filepath.Dir(p.CacheDir)); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", dir, err)
	}
	if text, _ := os.ReadFile(p.CacheDir); bytes.Contains(text, []byte("canary")) {
		t.Error("a credential is on disk")
	}
	s.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	r = run(t, p)
	u := r.next()
	if names(u) != "a " || len(u.Problems) != 1 || !strings.Contains(u.Problems[0].Message, "an earlier process") {
		t.Fatalf("%+v", u)
	}
	if _, stale := r.s.Age(); !stale {
		t.Error("it is not marked as stale")
	}
	// Back again, the server has only to say that nothing has changed.
	s.set(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != `"1"` {
			w.WriteHeader(500)
			return
		}
		w.WriteHeader(http.StatusNotModified)
	})
	list, err := r.refresh()
	if err != nil || len(list) != 1 || list[0].Bundle != u.Bundle || len(list[0].Problems) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, stale := r.s.Age(); stale {
		t.Error("it is still marked as stale")
	}
}

func TestAFileOnDiskThatCannotBeTrustedIsNotUsed(t *testing.T) { // S3
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, path string)
	}{
		{"cut off", func(t *testing.T, path string) { check(t, os.Truncate(path, 100)) }},
		{"empty", func(t *testing.T, path string) { check(t, os.Truncate(path, 0)) }},
		{"changed", func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			check(t, err)
			check(t, os.WriteFile(path, bytes.Replace(text, []byte("confirmed"), []byte("confirmeD"), 1), 0o600))
		}},
		{"not ours", func(t *testing.T, path string) { check(t, os.WriteFile(path, []byte(bundleA), 0o600)) }},
		{"for everybody to write", func(t *testing.T, path string) { check(t, os.Chmod(path, 0o666)) }},
		{"a link", func(t *testing.T, path string) {
			check(t, os.Rename(path, path+".x"))
			check(t, os.Symlink(path+".x", path))
		}},
		{"a folder in its place", func(t *testing.T, path string) {
			check(t, os.Remove(path))
			check(t, os.MkdirAll(filepath.Join(path, "config.json"), 0o700))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := plain(t, body("application/json", bundleA))
			p := settings(t, s.URL)
			r := run(t, p)
			r.next()
			r.stop()
			c.spoil(t, p.CacheDir)
			s.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
			u := run(t, p).next()
			if u.Bundle != nil || len(u.Problems) != 2 || !strings.Contains(u.Problems[0].Message, "is not used") {
				t.Errorf("%+v", u)
			}
		})
	}
}

func TestAFileOfAnotherURLIsNotUsed(t *testing.T) { // S3
	t.Parallel()
	s := plain(t, body("application/json", bundleA))
	p := settings(t, s.URL+"/one")
	r := run(t, p)
	r.next()
	r.stop()
	s.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	p.Endpoint = s.URL + "/two"
	if u := run(t, p).next(); u.Bundle != nil || len(u.Problems) != 1 {
		t.Errorf("%+v", u)
	}
}

func TestADiskThatTakesNothingKeepsNothingFromServing(t *testing.T) {
	t.Parallel()
	s := plain(t, body("application/json", bundleA))
	p := settings(t, s.URL)
	p.CacheDir = "/proc/nowhere/config.json"
	u := run(t, p).next()
	if names(u) != "a " || len(u.Problems) != 1 || u.Problems[0].Severity != config.SeverityWarning || u.Problems[0].Field != "gateway.providers.http.cacheDir" {
		t.Errorf("%+v", u)
	}
}

func TestTheServerIsCheckedAndShownACertificate(t *testing.T) {
	t.Parallel()
	s := serve(t, (*httptest.Server).StartTLS, body("application/json", bundleA))
	ca := filepath.Join(t.TempDir(), "ca.crt")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	p := settings(t, s.URL)
	r := run(t, p)
	if u := r.next(); u.Bundle != nil || !strings.Contains(u.Problems[0].Message, "certificate") {
		t.Errorf("an unknown authority is believed: %+v", u)
	}
	p = settings(t, s.URL)
	p.InsecureSkipVerify = true
	if u := run(t, p).next(); names(u) != "a " {
		t.Errorf("%+v", u)
	}
	p = settings(t, s.URL)
	p.TLS = &config.BackendTLS{RootCAs: ca}
	r = run(t, p)
	if u := r.next(); u.Bundle != nil || !strings.Contains(u.Problems[0].Message, "no such file") {
		t.Errorf("%+v", u)
	}
	check(t, os.WriteFile(ca, authority, 0o600)) // no restart is needed
	if list, err := r.refresh(); err != nil || len(list) != 1 || names(list[0]) != "a " {
		t.Errorf("%+v, %v", list, err)
	}
	p = settings(t, s.URL)
	p.TLS = &config.BackendTLS{RootCAs: string(authority), ClientCert: "canary-\n", ClientKey: "canary-key\n"}
	if u := run(t, p).next(); u.Bundle != nil || strings.Contains(u.Problems[0].Message, "canary") {
		t.Errorf("%+v", u)
	}
}

func TestNoRedirectLeadsOutOfTLS(t *testing.T) { // S3
	t.Parallel()
	clear := plain(t, body("application/json", bundleA))
	s := serve(t, (*httptest.Server).StartTLS, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, clear.URL, http.StatusFound)
	})
	p := settings(t, s.URL)
	p.InsecureSkipVerify = true
	if u := run(t, p).next(); u.Bundle != nil || !strings.Contains(u.Problems[0].Message, "from https to http") {
		t.Errorf("%+v", u)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
