// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// The reasons of events of certificates.
const (
	eventIssued  = "CertificateIssued"
	eventRenewed = "CertificateRenewed"
	eventFailed  = "CertificateFailed"
)

// maxAnnounced bounds the events of one look: those of a Gateway with a thousand new
// hosts would push all others out.
const maxAnnounced = 10

// announcements make events of what becomes of certificates: one when a host gets one,
// or another, or when it begins to fail in another way, whichever and however many pods
// say so. What was there when the operator began is no news.
type announcements struct {
	recorder events.EventRecorder

	mu sync.Mutex

	last map[types.NamespacedName]map[string]wire.Certificate
}

func newAnnouncements(r events.EventRecorder) *announcements {
	return &announcements{recorder: r, last: map[types.NamespacedName]map[string]wire.Certificate{}}
}

// news is one event.
type news struct{ kind, reason, host, note string }

// tell compares what the pods of a Gateway say now with what they said before.
func (a *announcements) tell(gw *v1alpha1.Gateway, now map[string]wire.Certificate, hosts map[string][]string) {
	list := a.compare(types.NamespacedName{Namespace: gw.Namespace, Name: gw.Name}, now, hosts)
	for i, n := range list {
		if i == maxAnnounced {
			a.recorder.Eventf(gw, nil, n.kind, n.reason, "ObtainCertificates", "%d more certificates: see the condition CertificateReady of the Routes", len(list)-i)
			return
		}
		// Events of one action are taken for one event.
		action := "Obtain " + n.host
		a.recorder.Eventf(gw, nil, n.kind, n.reason, action[:min(len(action), 128)], "%s", n.note)
	}
}

func (a *announcements) compare(key types.NamespacedName, now map[string]wire.Certificate, hosts map[string][]string) (list []news) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, known := a.last[key]
	next := map[string]wire.Certificate{}
	for _, names := range hosts {
		for _, host := range names {
			if c, ok := last[host]; ok { // perhaps no pod is ready at this moment
				next[host] = c
			}
		}
	}
	for _, host := range slices.Sorted(maps.Keys(now)) {
		if n, ok := difference(last[host], now[host]); ok && known {
			list = append(list, n)
		}
		next[host] = now[host]
	}
	a.last[key] = next
	return list
}

// difference tells what is worth an event.
func difference(before, now wire.Certificate) (n news, ok bool) {
	until := now.Host + ": issued by " + now.Issuer + ", valid until " + now.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case now.NotAfter.After(before.NotAfter) && before.NotAfter.IsZero():
		return news{corev1.EventTypeNormal, eventIssued, now.Host, until}, true
	case now.NotAfter.After(before.NotAfter):
		return news{corev1.EventTypeNormal, eventRenewed, now.Host, until}, true
	case now.Error != "" && now.Error != before.Error:
		return news{corev1.EventTypeWarning, eventFailed, now.Host, now.Host + ": " + now.Error}, true
	}
	return news{}, false
}

func (a *announcements) forget(key types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.last, key)
}
