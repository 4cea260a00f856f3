// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package secrets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/certstore"
	"gateway.jkaninda.dev/goma/internal/certstore/secrets"
	"gateway.jkaninda.dev/goma/internal/certstore/secrets/secretstest"
)

const year = 365 * 24 * time.Hour

func certificateKey(host string) string { return "acme/0123/certificates/" + host + ".json" }

// replica is the store of one pod. It is told of changes as a watch would.
func replica(t *testing.T, api *secretstest.API, pod string) *secrets.Store {
	t.Helper()
	s := secrets.New(secrets.Options{Gateway: "edge", Holder: pod, API: api})
	t.Cleanup(s.Close)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, s *secrets.Store, key, want string) {
	t.Helper()
	got, err := s.Load(t.Context(), key, nil)
	if want == "" {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is %q, %v; want none", key, got, err)
		}
		return
	}
	if err != nil || string(got) != want {
		t.Errorf("%s is %q, %v; want %q", key, got, err, want)
	}
}

func TestWhatOneReplicaSavesAllOthersFind(t *testing.T) { // A9
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		one, two := replica(t, api, "one"), replica(t, api, "two")
		key := certificateKey("a.example.com")
		is(t, two, key, "")
		must(t, one.Save(t.Context(), key, []byte("first"), year, nil))
		is(t, two, key, "first")
		must(t, two.Save(t.Context(), key, []byte("second"), year, nil))
		is(t, two, key, "second")
		must(t, two.Delete(t.Context(), key, nil))
		must(t, one.Delete(t.Context(), key, nil))
		must(t, one.Save(t.Context(), "acme/tokens/tok", []byte("answer"), time.Hour, nil))
		is(t, two, "acme/tokens/tok", "answer")
		time.Sleep(time.Hour)
		is(t, two, "acme/tokens/tok", "")
	})
}

// The watch keeps the copy new, so that nobody asks the API server for what is there.
func TestWhatIsKnownIsNotAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		one, two := replica(t, api, "one"), replica(t, api, "two")
		api.Changed(two.Take)
		key := certificateKey("a.example.com")
		must(t, one.Save(t.Context(), key, []byte("x"), year, nil))
		before := api.Calls("get")
		for range 1000 {
			is(t, two, key, "x")
		}
		if n := api.Calls("get") - before; n != 0 {
			t.Errorf("%d requests for what is known", n)
		}
		// What does not exist is asked for by all together, and not often.
		var asking sync.WaitGroup
		for range 1000 {
			asking.Go(func() { is(t, two, "acme/tokens/nobody", "") })
		}
		asking.Wait()
		for range 10 {
			is(t, two, "acme/tokens/nobody", "")
		}
		if n := api.Calls("get") - before; n > 13 {
			t.Errorf("%d requests for what does not exist", n)
		}
	})
}

func TestWritesOfManyReplicasAreAllKept(t *testing.T) { // A9
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		api.Before(func(string, string) error {
			time.Sleep(time.Millisecond) // the way there, on which all are at the same time
			return nil
		})
		var conflicts int
		var mu sync.Mutex
		var writing sync.WaitGroup
		for i := range 6 {
			s := secrets.New(secrets.Options{Gateway: "edge", Holder: fmt.Sprint(i), API: api, Wrote: func(_ error, n int) {
				mu.Lock()
				conflicts += n
				mu.Unlock()
			}})
			t.Cleanup(s.Close)
			writing.Go(func() {
				for n := range 50 {
					if err := s.Save(t.Context(), certificateKey(fmt.Sprintf("h%d-%d.example.com", i, n)), []byte{byte(n)}, year, nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
		s := replica(t, api, "reader")
		for i := range 6 {
			for n := range 50 {
				is(t, s, certificateKey(fmt.Sprintf("h%d-%d.example.com", i, n)), string([]byte{byte(n)}))
			}
		}
		if conflicts == 0 {
			t.Error("no write was made again: nothing was proven")
		}
	})
}

func TestALockIsOneReplicasUntilItIsGivenBack(t *testing.T) { // A9
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		one, two := replica(t, api, "one"), replica(t, api, "two")
		key := certificateKey("a.example.com")
		l, err := one.TryLock(t.Context(), key)
		if err != nil || l == nil {
			t.Fatalf("not taken: %v", err)
		}
		for range 60 { // while it is renewed
			time.Sleep(5 * time.Second)
			if other, err := two.TryLock(t.Context(), key); other != nil || err != nil {
				t.Fatalf("taken twice, or %v", err)
			}
			if other, err := one.TryLock(t.Context(), key); other != nil || err != nil {
				t.Fatalf("taken twice by one process, or %v", err)
			}
		}
		account, err := one.TryLock(t.Context(), "account-acme/0123/accounts/ops.json")
		if err != nil || account == nil {
			t.Fatalf("the lock of the account is not free: %v", err)
		}
		account.Release(t.Context())
		l.Release(t.Context())
		next, err := two.TryLock(t.Context(), key)
		if err != nil || next == nil {
			t.Fatalf("not given back: %v", err)
		}
		next.Release(t.Context())
	})
}

// A replica that is gone, or cut off, loses its lock to another, and knows it before
// the other has it. What it still writes is refused.
func TestALockEndsWithItsHolder(t *testing.T) { // A9
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		one, two := replica(t, api, "one"), replica(t, api, "two")
		key := certificateKey("a.example.com")
		l, err := one.TryLock(t.Context(), key)
		must(t, err)
		must(t, one.Save(t.Context(), key, []byte("by one"), year, l))
		api.Before(func(verb, _ string) error {
			if verb == "update" {
				return errors.New("no way to the API server")
			}
			return nil
		})
		start := time.Now()
		<-l.Lost()
		if waited := time.Since(start); waited > 26*time.Second {
			t.Errorf("lost after %s: later than others may take it", waited)
		}
		api.Before(nil)
		var next certstore.Lock
		for next == nil {
			if next, err = two.TryLock(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			if time.Since(start) > 2*time.Minute {
				t.Fatal("the lock does not end")
			}
		}
		if waited := time.Since(start); waited < 28*time.Second {
			t.Errorf("taken after %s, when the holder may still have it", waited)
		}
		must(t, two.Save(t.Context(), key, []byte("by two"), year, next))
		if err := one.Save(t.Context(), key, []byte("late"), year, l); !errors.Is(err, certstore.ErrLost) {
			t.Errorf("a lock that is lost still writes: %v", err)
		}
		l.Release(t.Context())
		is(t, two, key, "by two")
		if err := two.Save(t.Context(), key, []byte("again"), year, next); err != nil {
			t.Errorf("the release of a lost lock has ended another's: %v", err)
		}
		next.Release(t.Context())
	})
}

// A process that stands still while its lock ends does not know it. The Secret does.
func TestALateWriterIsFenced(t *testing.T) { // A9
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		one, two := replica(t, api, "one"), replica(t, api, "two")
		key := certificateKey("a.example.com")
		l, err := one.TryLock(t.Context(), key)
		must(t, err)
		// Another replica holds it now, without the first having noticed.
		for _, name := range secrets.LeaseNames("edge") {
			lease, err := api.Lease(t.Context(), name)
			must(t, err)
			lease.Spec.HolderIdentity = nil
			_, err = api.UpdateLease(t.Context(), lease)
			must(t, err)
		}
		next, err := two.TryLock(t.Context(), key)
		if err != nil || next == nil {
			t.Fatalf("not taken: %v", err)
		}
		must(t, two.Save(t.Context(), key, []byte("by two"), year, next))
		select {
		case <-l.Lost():
			t.Fatal("it knows already: nothing is proven")
		default:
		}
		if err := one.Save(t.Context(), key, []byte("late"), year, l); !errors.Is(err, certstore.ErrLost) {
			t.Errorf("written late: %v", err)
		}
		if err := one.Delete(t.Context(), key, l); !errors.Is(err, certstore.ErrLost) {
			t.Errorf("deleted late: %v", err)
		}
		is(t, two, key, "by two")
		<-l.Lost()
		l.Release(t.Context())
		next.Release(t.Context())
	})
}

func TestUnderALockTheNewestIsRead(t *testing.T) { // A9
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		one, two := replica(t, api, "one"), replica(t, api, "two")
		key := certificateKey("a.example.com")
		must(t, one.Save(t.Context(), key, []byte("old"), year, nil))
		is(t, two, key, "old")
		must(t, one.Save(t.Context(), key, []byte("new"), year, nil))
		is(t, two, key, "old") // its watch is late
		l, err := two.TryLock(t.Context(), key)
		must(t, err)
		if got, err := two.Load(t.Context(), key, l); err != nil || string(got) != "new" {
			t.Errorf("%q, %v", got, err)
		}
		l.Release(t.Context())
	})
}

func TestWhatDoesNotFitIsRefusedClearly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		s := replica(t, api, "one")
		err := s.Save(t.Context(), certificateKey("a.example.com"), make([]byte, 1<<20), year, nil)
		if !errors.Is(err, certstore.ErrTooLarge) || !strings.Contains(err.Error(), "a Secret holds") {
			t.Errorf("a value larger than a Secret: %v", err)
		}
		var full error
		large := bytes.Repeat([]byte("x"), 300<<10)
		for n := 0; full == nil && n < 100; n++ {
			full = s.Save(t.Context(), certificateKey(fmt.Sprintf("h%d.example.com", n)), large, time.Hour, nil)
		}
		if !errors.Is(full, certstore.ErrTooLarge) || !strings.Contains(full.Error(), "edge-acme-") || !strings.Contains(full.Error(), "spec.server.redis") {
			t.Errorf("a Secret that is full: %v", full)
		}
		// What has expired makes room.
		time.Sleep(2 * time.Hour)
		for n := range 16 {
			must(t, s.Save(t.Context(), certificateKey(fmt.Sprintf("g%d.example.com", n)), large[:100<<10], year, nil))
		}
	})
}

func TestTwoThousandCertificatesFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		s := replica(t, api, "one")
		record := bytes.Repeat([]byte("c"), 6<<10) // RSA keys and chains, too
		for n := range 2000 {
			must(t, s.Save(t.Context(), certificateKey(fmt.Sprintf("host-%d.example.com", n)), record, year, nil))
		}
	})
}

func TestDamagedValuesAreNeitherMissingNorOverwritten(t *testing.T) { // A10
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		s := replica(t, api, "one")
		key := certificateKey("a.example.com")
		must(t, s.Save(t.Context(), key, []byte("x"), year, nil))
		var shard, name string
		find := func(n string) {
			api.Edit(n, func(data map[string][]byte) bool {
				for k, v := range data {
					if bytes.Contains(v, []byte("a.example.com")) {
						shard, name = n, k
					}
				}
				return true
			})
		}
		for _, n := range secrets.SecretNames("edge") {
			find(n)
		}
		for what, text := range map[string]string{
			"no entry":      "\x00\x01",
			"another key's": `{"key":"acme/0123/certificates/b.example.com.json","expires":"2100-01-01T00:00:00Z"}` + "\nx",
		} {
			api.Edit(shard, func(data map[string][]byte) bool { data[name] = []byte(text); return true })
			fresh := replica(t, api, "fresh")
			if got, err := fresh.Load(t.Context(), key, nil); !errors.Is(err, certstore.ErrDamaged) {
				t.Errorf("%s: %q, %v", what, got, err)
			}
			// A write of another value to the same Secret leaves it.
			for n := range 64 {
				must(t, fresh.Save(t.Context(), certificateKey(fmt.Sprintf("h%d.example.com", n)), []byte("y"), year, nil))
			}
			api.Edit(shard, func(data map[string][]byte) bool {
				if string(data[name]) != text {
					t.Errorf("%s was overwritten", what)
				}
				return true
			})
		}
	})
}

func TestAStoreThatCannotBeReachedIsNotEmpty(t *testing.T) { // A10
	synctest.Test(t, func(t *testing.T) {
		api := secretstest.New("edge")
		s := replica(t, api, "one")
		key := certificateKey("a.example.com")
		must(t, s.Save(t.Context(), key, []byte("x"), year, nil))
		api.Before(func(string, string) error { return errors.New("connection refused") })
		is(t, s, key, "x") // from the copy
		for what, err := range map[string]error{
			"load": second(s.Load(t.Context(), certificateKey("b.example.com"), nil)),
			"save": s.Save(t.Context(), key, []byte("y"), year, nil),
			"lock": second(s.TryLock(t.Context(), key)),
		} {
			if !errors.Is(err, certstore.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
		}
		api.Before(nil)
		for _, name := range secrets.SecretNames("edge") {
			api.Edit(name, func(map[string][]byte) bool { return false })
			s.Gone(name)
		}
		if _, err := s.Load(t.Context(), key, nil); !errors.Is(err, certstore.ErrUnavailable) || !strings.Contains(err.Error(), "the operator makes it") {
			t.Errorf("a Secret that is missing: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestAnEndedContextIsWaitedForByNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := replica(t, secretstest.New("edge"), "one")
		ctx, cancel := context.WithCancel(t.Context())
		is(t, s, "acme/tokens/a", "")
		cancel()
		if _, err := s.Load(ctx, "acme/tokens/b", nil); !errors.Is(err, certstore.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	})
}
