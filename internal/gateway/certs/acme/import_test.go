// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// existing is a store file as others write it.
func existing(t *testing.T, accountURL string, r *record) string {
	t.Helper()
	_, key, err := newKey("")
	must(t, err)
	encode := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	registration, err := json.Marshal(map[string]any{"body": map[string]any{"status": "valid"}, "uri": accountURL})
	must(t, err)
	text, err := json.Marshal(map[string]any{
		"version": "1.0", "updated_at": time.Now(),
		"user_account": map[string]any{"email": "ops@example.com", "private_key": encode(key), "registration": encode(registration)},
		"certificates": []any{map[string]any{
			"domain": r.Host, "domains": []string{r.Host}, "certificate": encode([]byte(r.Certificate)), "private_key": encode([]byte(r.Key)),
			"expires": r.pair.Leaf.NotAfter, "issued_at": r.pair.Leaf.NotBefore,
		}},
	})
	must(t, err)
	file := filepath.Join(t.TempDir(), "acme.json")
	must(t, os.WriteFile(file, text, 0o600))
	return file
}

// importing makes a manager that takes over a file.
func importing(s Store, f *fakeAuthority, file string) *Manager {
	m := New(Options{Settings: &config.CertManager{ACME: &config.ACME{
		Email: "ops@example.com", DirectoryURL: "https://ca.example.org/directory", StorageFile: file,
	}}})
	m.store, m.standard.issuer = s, f
	return m
}

func TestWhatAnotherProgramObtainedIsTakenOver(t *testing.T) { // A10
	synctest.Test(t, func(t *testing.T) {
		r := selfMade("a.example.com", time.Now(), 90*24*time.Hour)
		file := existing(t, "https://ca.example.org/acct/7", r)
		before, err := os.ReadFile(file)
		must(t, err)
		f, s := newFake(90*24*time.Hour), newMemory()
		m := importing(s, f, file)
		running(t, m)
		m.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Minute)
		if c := m.Find(hello("a.example.com")); c == nil || !c.Leaf.Equal(r.pair.Leaf) || f.count("a.example.com") != 0 {
			t.Errorf("not taken over: %v, %d orders", c, f.count("a.example.com"))
		}
		known, ok, err := fetch(context.Background(), s, m.standard.place.account("ops@example.com"), decodeAccount)
		if err != nil || !ok || known.Account.Location != "https://ca.example.org/acct/7" || known.Account.PrivateKey == nil {
			t.Errorf("account %+v, %v", known, err)
		}
		if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
			t.Error("the file was written")
		}
	})
}

func TestFilesThatCannotBeTakenOverAreToldAndLeft(t *testing.T) { // A10
	synctest.Test(t, func(t *testing.T) {
		good := existing(t, "https://staging.example.org/acct/7", selfMade("a.example.com", time.Now(), time.Hour))
		bad := filepath.Join(t.TempDir(), "acme.json")
		must(t, os.WriteFile(bad, []byte(`{"user_account": {"private_key": "c2VjcmV0`), 0o600))
		for file, says := range map[string]string{good: "another authority", bad: "not JSON"} {
			before, err := os.ReadFile(file)
			must(t, err)
			f := newFake(90 * 24 * time.Hour)
			m := importing(newMemory(), f, file)
			running(t, m)
			m.SetHosts(hosts("a.example.com"))
			time.Sleep(time.Minute)
			p := m.Problems()
			if len(p) != 1 || p[0].Field != "certManager.acme.storageFile" || !strings.Contains(p[0].Message, says) || strings.Contains(p[0].Message, "c2Vj") {
				t.Errorf("problems %v", p)
			}
			if f.count("a.example.com") != 1 {
				t.Errorf("%d orders", f.count("a.example.com"))
			}
			if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
				t.Error("the file was written")
			}
		}
	})
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) { // A10
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "acme.d")
	s := newFiles(dir)
	must(t, s.Save(t.Context(), placeOf(LetsEncrypt).certificate("a.example.com"), []byte("x"), time.Hour))
	path := s.disk.Filename(placeOf(LetsEncrypt).certificate("a.example.com"))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err = os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}
