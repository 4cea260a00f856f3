// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package secretstest is an API server in memory for tests of package secrets and of
// what uses it: it keeps versions, and refuses what is meant for an older one.
package secretstest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"gateway.jkaninda.dev/goma/internal/certstore/secrets"
)

// API keeps Secrets and Leases. It is safe for concurrent use.
type API struct {
	mu sync.Mutex

	before  func(verb, name string) error
	changed func(*corev1.Secret)
	version int
	secrets map[string]*corev1.Secret
	leases  map[string]*coordinationv1.Lease
	calls   map[string]int
}

var _ secrets.API = (*API)(nil)

// New gives an API server with the empty objects of a Gateway's store.
func New(gateway string) *API {
	a := &API{secrets: map[string]*corev1.Secret{}, leases: map[string]*coordinationv1.Lease{}, calls: map[string]int{}}
	for _, name := range secrets.SecretNames(gateway) {
		a.secrets[name] = &corev1.Secret{ObjectMeta: a.meta(name)}
	}
	for _, name := range secrets.LeaseNames(gateway) {
		a.leases[name] = &coordinationv1.Lease{ObjectMeta: a.meta(name)}
	}
	return a
}

func (a *API) meta(name string) metav1.ObjectMeta {
	a.version++
	return metav1.ObjectMeta{Name: name, UID: "1", ResourceVersion: strconv.Itoa(a.version)}
}

// Before has a function called before each request, with its verb and the name of the
// object. Its error is the answer. Nil is for none.
func (a *API) Before(f func(verb, name string) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before = f
}

// Changed has a function told of each new version of a Secret, as a watch would.
func (a *API) Changed(f func(*corev1.Secret)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = f
}

// Calls counts the requests of a verb: get, patch or update.
func (a *API) Calls(verb string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[verb]
}

// Edit changes a Secret as somebody else would, and takes it away if keep is false.
func (a *API) Edit(name string, edit func(data map[string][]byte) (keep bool)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.secrets[name].DeepCopy()
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	if !edit(s.Data) {
		delete(a.secrets, name)
		return
	}
	a.put(s)
}

func (a *API) put(s *corev1.Secret) {
	a.version++
	s.ResourceVersion = strconv.Itoa(a.version)
	a.secrets[s.Name] = s
	if a.changed != nil {
		a.changed(s.DeepCopy())
	}
}

func (a *API) begin(verb, name string) error {
	a.mu.Lock()
	a.calls[verb]++
	before := a.before
	a.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(verb, name)
}

func missing(resource, name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name)
}

func conflict(resource, name string) error {
	return apierrors.NewConflict(schema.GroupResource{Resource: resource}, name, nil)
}

// Secret implements secrets.API.
func (a *API) Secret(_ context.Context, name string) (*corev1.Secret, error) {
	if err := a.begin("get", name); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.secrets[name]
	if s == nil {
		return nil, missing("secrets", name)
	}
	return s.DeepCopy(), nil
}

// PatchSecret implements secrets.API.
func (a *API) PatchSecret(_ context.Context, name string, patch []byte) (*corev1.Secret, error) {
	if err := a.begin("patch", name); err != nil {
		return nil, err
	}
	var change struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Data map[string]*[]byte `json:"data"`
	}
	if err := json.Unmarshal(patch, &change); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.secrets[name]
	switch {
	case s == nil:
		return nil, missing("secrets", name)
	case change.Metadata.ResourceVersion != "" && change.Metadata.ResourceVersion != s.ResourceVersion:
		return nil, conflict("secrets", name)
	}
	s = s.DeepCopy()
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	total := 0
	for key, value := range change.Data {
		if value == nil {
			delete(s.Data, key)
		} else {
			s.Data[key] = *value
		}
	}
	for _, value := range s.Data {
		total += len(value)
	}
	if total > corev1.MaxSecretSize {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("%d bytes", total))
	}
	a.put(s)
	return s.DeepCopy(), nil
}

// Lease implements secrets.API.
func (a *API) Lease(_ context.Context, name string) (*coordinationv1.Lease, error) {
	if err := a.begin("get", name); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.leases[name]
	if l == nil {
		return nil, missing("leases", name)
	}
	return l.DeepCopy(), nil
}

// UpdateLease implements secrets.API.
func (a *API) UpdateLease(_ context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	if err := a.begin("update", lease.Name); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.leases[lease.Name]
	switch {
	case l == nil:
		return nil, missing("leases", lease.Name)
	case lease.ResourceVersion != l.ResourceVersion:
		return nil, conflict("leases", lease.Name)
	}
	l = lease.DeepCopy()
	a.version++
	l.ResourceVersion = strconv.Itoa(a.version)
	a.leases[lease.Name] = l
	return l.DeepCopy(), nil
}
