// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"math/big"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// memory is a Store that can fail.
type memory struct {
	mu sync.Mutex

	values map[string][]byte
	locks  map[string]bool
	fail   error
}

func newMemory() *memory { return &memory{values: map[string][]byte{}, locks: map[string]bool{}} }

func (s *memory) Load(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	if v, ok := s.values[key]; ok {
		return v, nil
	}
	return nil, fs.ErrNotExist
}

func (s *memory) Save(_ context.Context, key string, value []byte, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.values[key] = value
	}
	return s.fail
}

func (s *memory) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		delete(s.values, key)
	}
	return s.fail
}

func (s *memory) TryLock(ctx context.Context, name string) (context.Context, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil || s.locks[name] {
		return ctx, nil, s.fail
	}
	s.locks[name] = true
	return ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.locks, name)
	}, nil
}

func (s *memory) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *memory) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.values)
}

func (s *memory) text(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.values[key])
}

// fakeAuthority issues what it is asked for, or fails.
type fakeAuthority struct {
	life time.Duration
	took time.Duration

	mu sync.Mutex

	orders map[string]int
	fail   map[string]error
	window *renewal
	// advised counts the questions about renewal.
	advised int
}

func newFake(life time.Duration) *fakeAuthority {
	return &fakeAuthority{life: life, took: time.Second, orders: map[string]int{}, fail: map[string]error{}}
}

func (f *fakeAuthority) issue(ctx context.Context, host string, _ *record) (*record, error) {
	f.mu.Lock()
	f.orders[host]++
	err := f.fail[host]
	window := f.window
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(f.took):
	}
	if err != nil {
		return nil, err
	}
	r := selfMade(host, time.Now(), f.life)
	r.Renewal = window
	return r, nil
}

func (f *fakeAuthority) advice(context.Context, *x509.Certificate) (*renewal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.advised++
	return f.window, nil
}

func (f *fakeAuthority) count(host string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.orders[host]
}

func (f *fakeAuthority) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func selfMade(host string, from time.Time, life time.Duration) *record {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "fake"}, DNSNames: []string{host},
		NotBefore: from, NotAfter: from.Add(life),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	text, err := keyPEM(key)
	if err != nil {
		panic(err)
	}
	r, err := newRecord(host, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), text)
	if err != nil {
		panic(err)
	}
	return r
}

// replica makes a manager whose authority is the fake one.
func replica(s Store, f *fakeAuthority, settings config.ACME) *Manager {
	if settings.Email == "" {
		settings.Email = "ops@example.com"
	}
	m := New(Options{Settings: &config.CertManager{ACME: &settings}})
	m.store, m.imports = s, nil
	m.standard.issuer = f
	return m
}

// running runs managers until stop, or the end of the test.
func running(t *testing.T, managers ...*Manager) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, m := range managers {
		group.Go(func() { m.Run(ctx) })
	}
	stop = func() { cancel(); group.Wait() }
	t.Cleanup(stop)
	return stop
}

func hosts(names ...string) (list []Host) {
	for _, name := range names {
		list = append(list, Host{Name: name, Routes: []config.ObjectRef{{Kind: "Route", Name: "of " + name}}})
	}
	return list
}

func hello(name string) *tls.ClientHelloInfo { return &tls.ClientHelloInfo{ServerName: name} }
