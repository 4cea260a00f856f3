// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package acme

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gateway.jkaninda.dev/goma/internal/certstore"
	"gateway.jkaninda.dev/goma/internal/certstore/secrets"
	"gateway.jkaninda.dev/goma/internal/certstore/secrets/secretstest"
)

// sidecar answers a gateway at a socket, from the Secrets of an API server in memory.
func sidecar(t *testing.T, api *secretstest.API, pod string) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "store", "socket")
	ctx, cancel := context.WithCancel(context.Background())
	l, err := certstore.Listen(ctx, socket)
	must(t, err)
	shards := secrets.New(secrets.Options{Gateway: "edge", Holder: pod, API: api})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := certstore.NewServer(shards, slog.New(slog.DiscardHandler)).Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		serving.Wait()
		shards.Close()
	})
	return socket
}

// fleet starts pods that share the Secrets of one Gateway.
func (a *authority) fleet(t *testing.T, api *secretstest.API, s settings) (list []*gateway) {
	t.Helper()
	for i := range 3 {
		s.socket = sidecar(t, api, fmt.Sprintf("edge-%d", i))
		list = append(list, a.gateway(t, s))
	}
	return list
}

func TestThreePodsWithoutRedisOrderEachNameOnce(t *testing.T) { // A9
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			a := newAuthority(t)
			a.start()
			api := secretstest.New("edge")
			names := []string{"a.example.com", "b.example.com", "c.example.com"}
			pods := a.fleet(t, api, settings{hosts: names, acme: "    challengeType: " + challenge})
			for _, name := range names {
				serial := pods[0].obtained(name).serial
				for i, g := range pods[1:] {
					if c := g.obtained(name); c.serial != serial {
						t.Errorf("pod %d serves another certificate for %s", i+1, name)
					}
				}
			}
			if a.count() != len(names) {
				t.Errorf("%d orders for %d names", a.count(), len(names))
			}
			late := a.gateway(t, settings{hosts: names, socket: sidecar(t, api, "late"), acme: "    challengeType: " + challenge})
			late.obtained("a.example.com")
			if a.count() != len(names) {
				t.Errorf("%d orders after one more pod", a.count())
			}
		})
	}
}

func TestThePodThatOrdersDiesInMidOrder(t *testing.T) { // A9
	a := newAuthority(t)
	ordered := make(chan struct{}, 16)
	release := make(chan struct{})
	a.hold = func() {
		ordered <- struct{}{}
		<-release
	}
	a.start()
	api := secretstest.New("edge")
	pods := a.fleet(t, api, settings{hosts: []string{"a.example.com"}})
	<-ordered
	var rest []*gateway
	for _, g := range pods {
		if strings.Contains(g.String(), "ordering a certificate") {
			g.kill()
			continue
		}
		rest = append(rest, g)
	}
	if len(rest) != 2 {
		t.Fatalf("%d of 3 pods have ordered", 3-len(rest))
	}
	a.mu.Lock()
	a.hold = nil
	a.mu.Unlock()
	close(release)
	serial := rest[0].obtained("a.example.com").serial
	if rest[1].obtained("a.example.com").serial != serial {
		t.Error("two certificates for one name")
	}
	if n := a.count(); n > 2 {
		t.Errorf("%d orders", n)
	}
}
