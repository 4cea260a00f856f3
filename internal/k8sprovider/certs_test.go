// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// goodPair is a new certificate with its private key, as a Secret holds them.
func goodPair(t *testing.T) map[string][]byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, DNSNames: []string{"x.example.com"},
		NotAfter: time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}
}

// files lists a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func openStore(t *testing.T, dir string) *certStore {
	t.Helper()
	s, err := openCertStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, s *certStore, secret string, files map[string][]byte) bool {
	t.Helper()
	changed, err := s.write(secret, files)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// TestCertificateAndKeyChangeTogether follows the link, as a gateway does, while
// the pair is replaced as fast as possible.
func TestCertificateAndKeyChangeTogether(t *testing.T) { // K3
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	pairs := []map[string][]byte{goodPair(t), goodPair(t), goodPair(t)}
	write(t, s, "s", pairs[0])
	var stop atomic.Bool
	var reading sync.WaitGroup
	reading.Go(func() {
		for !stop.Load() {
			folder, err := filepath.EvalSymlinks(filepath.Join(dir, "s"))
			if os.IsNotExist(err) {
				continue // the link was replaced while it was followed
			}
			if err != nil {
				t.Error(err)
				return
			}
			_, err = tls.LoadX509KeyPair(filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"))
			if err != nil && !os.IsNotExist(err) { // a reader two versions behind starts again
				t.Errorf("the pair does not go together: %v", err)
				return
			}
		}
	})
	for i := range 300 {
		write(t, s, "s", pairs[i%len(pairs)])
	}
	stop.Store(true)
	reading.Wait()
	if n := len(files(t, dir)); n != 3 {
		t.Errorf("%d files, want the link, this version and the one before: %v", n, files(t, dir))
	}
}

func TestVersionThatComesBackIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	a, b := goodPair(t), goodPair(t)
	for _, pair := range []map[string][]byte{a, b, a, b, b, a} {
		write(t, s, "s", pair)
		got, err := os.ReadFile(filepath.Join(dir, "s", "tls.crt"))
		if err != nil || string(got) != string(pair["tls.crt"]) {
			t.Fatalf("not the pair that was written: %v", err)
		}
	}
}

func TestUnchangedFilesAreNotTouched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	pair := goodPair(t)
	if !write(t, s, "s", pair) {
		t.Fatal("the first write changed nothing")
	}
	before, err := os.Lstat(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	again := openStore(t, dir)
	for _, store := range []*certStore{s, again} {
		if write(t, store, "s", pair) {
			t.Error("the same files were written again")
		}
	}
	after, err := os.Lstat(filepath.Join(dir, "s"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the link was replaced (%v)", err)
	}
}

func TestStoreSweepsUpWhatNothingLinksTo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	write(t, s, "s", goodPair(t))
	write(t, s, "s", goodPair(t))
	for _, half := range []string{"..s-half", "..link"} {
		if err := os.Mkdir(filepath.Join(dir, half), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	again := openStore(t, dir)
	if got := files(t, dir); len(got) != 2 || !slices.Contains(got, "s") {
		t.Errorf("files %v, want the link and its version", got)
	}
	if !slices.Equal(again.names(), []string{"s"}) {
		t.Errorf("names %v", again.names())
	}
	if changed, err := again.remove("s"); err != nil || !changed || len(files(t, dir)) != 0 {
		t.Errorf("removed %v, %v, left %v", changed, err, files(t, dir))
	}
}

func TestNamesThatAreNoSecretsAreRefused(t *testing.T) { // T8
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "certs")
	s := openStore(t, dir)
	for _, name := range []string{"", ".", "..", "../x", "a/b", "..data", "UPPER"} {
		if _, err := s.write(name, goodPair(t)); err == nil {
			t.Errorf("%q was written", name)
		}
	}
	if got := files(t, filepath.Dir(dir)); len(got) != 1 {
		t.Errorf("files %v beside the directory", got)
	}
	long := strings.Repeat("a", 60) + "." + strings.Repeat(strings.Repeat("b", 60)+".", 3) + "c"
	write(t, s, long, goodPair(t))
	if !s.has(long, []string{"tls.crt", "tls.key"}) {
		t.Error("a long name was not written")
	}
}

func TestPrivateKeysAreForOwnerAndGroupOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "certs")
	s := openStore(t, dir)
	write(t, s, "s", goodPair(t))
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode()&os.ModeSymlink == 0 && info.Mode().Perm()&0o027 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
