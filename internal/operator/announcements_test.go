// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/wire"
)

func TestEventsTellWhatBecomesOfCertificatesOnce(t *testing.T) { // O9
	t.Parallel()
	end := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	gw := &v1alpha1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "edge"}}
	hosts := map[string][]string{"shop": {"a.example.com", "b.example.com"}}
	recorder := events.NewFakeRecorder(64)
	a := newAnnouncements(recorder)
	tell := func(list ...wire.Certificate) (got []string) {
		now := map[string]wire.Certificate{}
		for _, c := range list {
			now[c.Host] = c
		}
		a.tell(gw, now, hosts)
		for {
			select {
			case e := <-recorder.Events:
				got = append(got, e)
			default:
				return got
			}
		}
	}
	good := wire.Certificate{Host: "a.example.com", Issuer: "R11", NotAfter: end}
	old := wire.Certificate{Host: "b.example.com", Issuer: "R11", NotAfter: end}
	renewed := wire.Certificate{Host: "b.example.com", Issuer: "R12", NotAfter: end.AddDate(0, 2, 0)}
	failing := wire.Certificate{Host: "a.example.com", Error: "no such name"}
	for i, step := range []struct {
		now  []wire.Certificate
		want string
	}{
		{[]wire.Certificate{old}, ""}, // the operator begins
		{[]wire.Certificate{old, {Host: "a.example.com"}}, ""},
		{[]wire.Certificate{old, failing}, "Warning CertificateFailed a.example.com: no such name"},
		{[]wire.Certificate{old, failing}, ""},
		{nil, ""}, // no pod is ready
		{[]wire.Certificate{old, failing}, ""},
		{[]wire.Certificate{renewed, good}, "Normal CertificateIssued a.example.com: issued by R11, valid until 2027-02-01T00:00:00Z," +
			"Normal CertificateRenewed b.example.com: issued by R12, valid until 2027-04-01T00:00:00Z"},
		{[]wire.Certificate{renewed, good}, ""},
		{[]wire.Certificate{old, good}, ""}, // a pod that is late
	} {
		if got := strings.Join(tell(step.now...), ","); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	var many []wire.Certificate
	for i := range 100 {
		many = append(many, wire.Certificate{Host: fmt.Sprintf("h%02d.example.com", i), NotAfter: end})
	}
	if got := tell(many...); len(got) != maxAnnounced+1 || !slices.ContainsFunc(got, func(e string) bool { return strings.Contains(e, "90 more") }) {
		t.Errorf("%d events: %v", len(got), got)
	}
}
