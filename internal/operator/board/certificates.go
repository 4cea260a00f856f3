// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package board

import (
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/internal/wire"
)

// Certificates gives what the ready pods of a Gateway say of the certificates that they
// obtain, by host.
func (b *Board) Certificates(key types.NamespacedName) map[string]wire.Certificate {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.gateways[key]; g != nil {
		return g.certificates()
	}
	return nil
}

// certificates takes of what several pods say the newest.
func (g *gateway) certificates() map[string]wire.Certificate {
	out := map[string]wire.Certificate{}
	for _, p := range g.pods {
		if !p.Ready {
			continue
		}
		for _, c := range p.Certificates {
			if have, ok := out[c.Host]; !ok || newer(c, have) {
				out[c.Host] = c
			}
		}
	}
	return out
}

// newer puts the later certificate first, and of what was said with the same one in
// hand, what was said last: the order does not depend on that of the pods.
func newer(a, b wire.Certificate) bool {
	switch {
	case !a.NotAfter.Equal(b.NotAfter):
		return a.NotAfter.After(b.NotAfter)
	case (a.Error == "") != (b.Error == ""):
		return a.Error != ""
	case !a.Next.Equal(b.Next):
		return a.Next.After(b.Next)
	}
	return a.Error > b.Error
}
