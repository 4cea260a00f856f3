// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/certstore"
	"gateway.jkaninda.dev/goma/internal/certstore/secrets"
	"gateway.jkaninda.dev/goma/internal/k8sprovider"
	"gateway.jkaninda.dev/goma/internal/operator"
)

const acmeGateway = `
apiVersion: gateway.jkaninda.dev/v1alpha1
kind: Gateway
metadata: {name: gateway}
spec: {replicas: 2, certManager: {provider: acme, acme: {email: ops@example.com}}}
`

const storedKey = "acme/0123/certificates/a.example.com.json"

// O6, A9, A10: the operator makes the objects of the store with its own rights, the
// sidecars of two pods keep values and locks in them with theirs, which reach no further,
// and what they keep outlives the operator and the wish for certificates.
func TestTheCertificatesOfAGatewayAreInItsSecrets(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startKubelet()
	s.installRights()
	cfg := s.accountConfig()
	stop := s.run(cfg, operator.Options{Namespace: s.ns})
	s.applyText(acmeGateway + "---" + simpleRoute)
	s.eventually("the stack is there", func() error { return s.gatewayIs("gateway", "Programmed", true, "") })

	account := "system:serviceaccount:" + s.ns + ":gateway"
	names := secrets.SecretNames("gateway")
	s.may(account, "patch", "", "secrets", names[0], true)
	s.may(account, "watch", "", "secrets", names[len(names)-1], true)
	s.may(account, "update", "coordination.k8s.io", "leases", secrets.LeaseNames("gateway")[0], true)
	for _, verb := range []string{"create", "delete", "patch"} {
		s.may(account, verb, "", "secrets", "other", false)
		s.may(account, verb, "coordination.k8s.io", "leases", "other", false)
	}
	s.may(account, "delete", "", "secrets", names[0], false)

	one, two := s.storePod("one"), s.storePod("two")
	s.eventually("the first write", func() error {
		return one.Save(t.Context(), storedKey, "", []byte("first"), time.Hour)
	})
	s.stored(two, "first")
	s.lockedOut(one, two)
	s.manyWrites(one, two)
	// A value that a Secret cannot hold.
	err := one.Save(t.Context(), storedKey, "", make([]byte, certstore.MaxValueBytes-100), time.Hour)
	if !errors.Is(err, certstore.ErrTooLarge) {
		t.Errorf("a value larger than a Secret: %v", err)
	}
	s.stored(one, "second")

	// Another operator takes over, as after an upgrade; then nobody wants certificates.
	stop()
	s.run(cfg, operator.Options{Namespace: s.ns})
	s.applyText(simpleGateway)
	s.may(account, "patch", "", "secrets", names[0], false)
	s.applyText(acmeGateway)
	s.may(account, "patch", "", "secrets", names[0], true)
	s.stored(two, "second")
	s.ownedByTheGateway()
}

// stored waits until a pod reads a value.
func (s *stage) stored(c *certstore.Client, want string) {
	s.t.Helper()
	s.eventually("the value "+want, func() error {
		got, err := c.Load(s.t.Context(), storedKey, "")
		if err == nil && string(got) != want {
			err = fmt.Errorf("it is %q", got)
		}
		return err
	})
}

// lockedOut checks that a lock is one pod's, and that the next holder sees what the
// first has written.
func (s *stage) lockedOut(one, two *certstore.Client) {
	s.t.Helper()
	lock, err := one.TryLock(s.t.Context(), storedKey)
	if err != nil || lock == nil {
		s.t.Fatalf("the lock is not free: %v", err)
	}
	if other, err := two.TryLock(s.t.Context(), storedKey); other != nil || err != nil {
		s.t.Fatalf("taken twice, or %v", err)
	}
	if err := one.Save(s.t.Context(), storedKey, lock.ID, []byte("second"), time.Hour); err != nil {
		s.t.Fatal(err)
	}
	lock.Release(s.t.Context())
	next, err := two.TryLock(s.t.Context(), storedKey)
	if err != nil || next == nil {
		s.t.Fatalf("the lock is not given back: %v", err)
	}
	defer next.Release(s.t.Context())
	if got, err := two.Load(s.t.Context(), storedKey, next.ID); err != nil || string(got) != "second" {
		s.t.Errorf("the next holder reads %q, %v", got, err)
	}
}

// manyWrites has both pods write to the same Secrets at the same time.
func (s *stage) manyWrites(pods ...*certstore.Client) {
	s.t.Helper()
	key := func(pod, n int) string { return fmt.Sprintf("acme/0123/attempts/h%d-%d.example.com.json", pod, n) }
	var writing sync.WaitGroup
	for i, c := range pods {
		writing.Go(func() {
			for n := range 40 {
				if err := c.Save(s.t.Context(), key(i, n), "", []byte("x"), time.Hour); err != nil {
					s.t.Errorf("writing %s: %v", key(i, n), err)
				}
			}
		})
	}
	writing.Wait()
	for i := range pods {
		for n := range 40 {
			if got, err := pods[0].Load(s.t.Context(), key(i, n), ""); err != nil || string(got) != "x" {
				s.t.Errorf("%s is %q, %v", key(i, n), got, err)
			}
		}
	}
	if err := pods[0].Delete(s.t.Context(), key(0, 0), ""); err != nil {
		s.t.Error(err)
	}
	s.eventually("the value is gone everywhere", func() error {
		if _, err := pods[1].Load(s.t.Context(), key(0, 0), ""); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is one: %w", err)
		}
		return nil
	})
}

// storePod runs the sidecar of a pod, with the rights of the Gateway's account.
func (s *stage) storePod(name string) *certstore.Client {
	s.t.Helper()
	cfg := rest.CopyConfig(s.cfg)
	cfg.Impersonate.UserName = "system:serviceaccount:" + s.ns + ":gateway"
	dir := s.t.TempDir()
	socket := filepath.Join(dir, "s", "s")
	log := &lockedBuffer{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- k8sprovider.Run(ctx, k8sprovider.Options{
			Gateway: "gateway", Namespace: s.ns, Listen: "127.0.0.1:0", Config: cfg, StoreSocket: socket,
			OutputDir: filepath.Join(dir, "out"), CertsDir: filepath.Join(dir, "certs"),
			Logger: slog.New(slog.NewTextHandler(log, nil)),
		})
	}()
	c := certstore.NewClient(socket)
	s.t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("sidecar %s ended with %v", name, err)
		}
		if s.t.Failed() {
			s.t.Logf("sidecar %s:\n%s", name, log)
		}
		if strings.Contains(log.String(), "second") {
			s.t.Error("a value is in the log")
		}
	})
	return c
}

// ownedByTheGateway checks that the objects go with the Gateway, that the operator
// owns no data, and how many there are.
func (s *stage) ownedByTheGateway() {
	s.t.Helper()
	gw := &v1alpha1.Gateway{}
	s.get("gateway", gw)
	check := func(o client.Object) {
		if !metav1.IsControlledBy(o, gw) {
			s.t.Errorf("%T %s is not owned by the Gateway", o, o.GetName())
		}
		for _, e := range o.GetManagedFields() {
			if e.Manager == "goma-operator" && e.FieldsV1 != nil && strings.Contains(string(e.FieldsV1.GetRawBytes()), "f:data") {
				s.t.Errorf("the operator owns data of %s", o.GetName())
			}
		}
	}
	for _, name := range secrets.SecretNames("gateway") {
		o := &corev1.Secret{}
		s.get(name, o)
		check(o)
	}
	for _, name := range secrets.LeaseNames("gateway") {
		o := &coordinationv1.Lease{}
		s.get(name, o)
		check(o)
	}
}
