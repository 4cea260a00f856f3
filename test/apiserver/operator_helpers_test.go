// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math"
	"math/big"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func asYAML(o *unstructured.Unstructured) string {
	text, err := yaml.Marshal(o.Object)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *stage) routeReady(name string) error {
	var r v1alpha1.Route
	if err := s.read(name, &r); err != nil {
		return err
	}
	if !r.Status.Ready || !r.Status.Synced {
		return fmt.Errorf("ready %v, synced %v, %v", r.Status.Ready, r.Status.Synced, r.Status.Conditions)
	}
	return nil
}

func (s *stage) gatewayIs(name, kind string, ok bool, reason string) error {
	var gw v1alpha1.Gateway
	if err := s.read(name, &gw); err != nil {
		return err
	}
	return condition(gw.Status.Conditions, kind, truth(ok), reason)
}

func (s *stage) routeIs(name, kind string, ok bool, reason string) error {
	var r v1alpha1.Route
	if err := s.read(name, &r); err != nil {
		return err
	}
	return condition(r.Status.Conditions, kind, truth(ok), reason)
}

func (s *stage) middlewareIs(name, kind string, ok bool, reason string) error {
	var m v1alpha1.Middleware
	if err := s.read(name, &m); err != nil {
		return err
	}
	return condition(m.Status.Conditions, kind, truth(ok), reason)
}

func truth(ok bool) metav1.ConditionStatus {
	if ok {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

// watchReplicas sees every value that the replica count takes and tells the lowest.
func (s *stage) watchReplicas() func() int32 {
	s.t.Helper()
	set, err := kubernetes.NewForConfig(s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	s.t.Cleanup(cancel)
	w, err := set.AppsV1().Deployments(s.ns).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	var mu sync.Mutex
	lowest := int32(math.MaxInt32)
	go func() {
		for e := range w.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok && d.Spec.Replicas != nil {
				mu.Lock()
				lowest = min(lowest, *d.Spec.Replicas)
				mu.Unlock()
			}
		}
	}()
	return func() int32 {
		mu.Lock()
		defer mu.Unlock()
		return lowest
	}
}

// certificate makes a self-signed pair in PEM.
func certificate(t *testing.T, host string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
