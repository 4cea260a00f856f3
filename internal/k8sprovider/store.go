// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"cmp"
	"context"
	"net"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/internal/certstore"
	"gateway.jkaninda.dev/goma/internal/certstore/secrets"
)

// storeObjects are the objects of the store of certificates, as package secrets asks
// for them.
type storeObjects struct {
	api       clients
	namespace string
}

var _ secrets.API = storeObjects{}

func (o storeObjects) Secret(ctx context.Context, name string) (*corev1.Secret, error) {
	s := &corev1.Secret{}
	return s, o.api.core.Get().Namespace(o.namespace).Resource("secrets").Name(name).Do(ctx).Into(s)
}

func (o storeObjects) PatchSecret(ctx context.Context, name string, patch []byte) (*corev1.Secret, error) {
	s := &corev1.Secret{}
	return s, o.api.core.Patch(types.MergePatchType).Namespace(o.namespace).Resource("secrets").Name(name).
		Param("fieldManager", storeManager).Body(patch).Do(ctx).Into(s)
}

func (o storeObjects) Lease(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	l := &coordinationv1.Lease{}
	return l, o.api.coordination.Get().Namespace(o.namespace).Resource("leases").Name(name).Do(ctx).Into(l)
}

func (o storeObjects) UpdateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	l := &coordinationv1.Lease{}
	return l, o.api.coordination.Put().Namespace(o.namespace).Resource("leases").Name(lease.Name).
		Param("fieldManager", storeManager).Body(lease).Do(ctx).Into(l)
}

// storeManager owns what is in the store's objects; the operator owns the objects.
const storeManager = "goma-k8s-provider"

// store is the store of certificates, with the socket where the gateway finds it.
type store struct {
	socket net.Listener
	shards *secrets.Store
	server *certstore.Server
}

// openStore opens the socket; the store is nil where there is none.
func (p *provider) openStore(ctx context.Context) (*store, error) {
	o := p.options
	if o.StoreSocket == "" {
		return nil, nil //nolint:nilnil // no store is what is meant
	}
	socket, err := certstore.Listen(ctx, o.StoreSocket)
	if err != nil {
		return nil, err
	}
	m := p.engine.metrics
	shards := secrets.New(secrets.Options{
		Gateway: o.Gateway, Holder: cmp.Or(o.Pod, "goma-k8s-provider"), API: storeObjects{p.api, o.Namespace}, Logger: o.Logger,
		Wrote: m.stored,
	})
	return &store{socket: socket, shards: shards, server: certstore.NewServer(shards, o.Logger)}, nil
}

// run answers until the context ends.
func (s *store) run(ctx context.Context) error {
	defer s.shards.Close()
	return s.server.Serve(ctx, s.socket)
}

// watches are those of the store's Secrets.
func (s *store) watches(p *provider) (list []watchOptions) {
	for _, name := range secrets.SecretNames(p.options.Gateway) {
		list = append(list, watchOptions{
			client: p.api.core, resource: "secrets", namespace: p.options.Namespace, name: name, kind: &corev1.Secret{},
			send:   func(c change) { s.take(name, c) },
			failed: p.watchFailed("secrets"), log: p.options.Logger,
		})
	}
	return list
}

// take hands on what a watch has seen of one Secret.
func (s *store) take(name string, c change) {
	if len(c.set) == 0 {
		s.shards.Gone(name)
		return
	}
	for _, o := range c.set {
		if secret, ok := o.(*corev1.Secret); ok {
			s.shards.Take(secret)
		}
	}
}
