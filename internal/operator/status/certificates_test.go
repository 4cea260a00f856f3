// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/internal/wire"
)

func TestARouteTellsTheCertificatesOfItsHosts(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	end, next := now.AddDate(0, 1, 0), now.Add(time.Hour)
	for name, c := range map[string]struct {
		list []wire.Certificate
		want string // STATUS REASON MESSAGE
	}{
		"none is obtained": {nil, ""},
		"issued": {[]wire.Certificate{{Host: "a", Issuer: "R11", NotAfter: end, Next: next}},
			"True CertificateIssued a: issued by R11, valid until 2027-02-01T00:00:00Z, renewal at 2027-01-01T01:00:00Z"},
		"a renewal that fails": {[]wire.Certificate{{Host: "a", Issuer: "R11", NotAfter: end, Error: "sorry", Next: next}},
			"True CertificateIssued a: issued by R11, valid until 2027-02-01T00:00:00Z; it could not be renewed: sorry, next attempt at 2027-01-01T01:00:00Z"},
		"the first attempt runs": {[]wire.Certificate{{Host: "a"}}, "False CertificatePending a: a certificate is being obtained"},
		"it has ended":           {[]wire.Certificate{{Host: "a", NotAfter: now}}, "False CertificatePending a: the certificate has ended at 2027-01-01T00:00:00Z and is being renewed"},
		"one of two fails": {[]wire.Certificate{{Host: "a", Issuer: "R11", NotAfter: end}, {Host: "b", Error: "no such name"}},
			"False CertificateNotReady a: issued by R11, valid until 2027-02-01T00:00:00Z; b: no certificate: no such name"},
		"a failure is worse than waiting": {[]wire.Certificate{{Host: "b", Error: "no"}, {Host: "c"}},
			"False CertificateNotReady b: no certificate: no; c: a certificate is being obtained"},
	} {
		live := isLive
		live.Certificates = c.list
		s := Route(RouteFacts{Route: route(nil), Gateways: on(live), Now: now})
		got := ""
		if condition := meta.FindStatusCondition(s.Conditions, CertificateReady); condition != nil {
			got = strings.Join([]string{string(condition.Status), condition.Reason, condition.Message}, " ")
		}
		if got != c.want || !s.Ready {
			t.Errorf("%s: %s, ready %v", name, got, s.Ready)
		}
	}
}

func TestAConditionThatDoesNotApplyAnyMoreGoes(t *testing.T) {
	t.Parallel()
	present := []metav1.Condition{{Type: CertificateReady, Status: metav1.ConditionTrue}, {Type: "Theirs"}}
	if got := withoutFormer(present, nil); len(got) != 1 || got[0].Type != "Theirs" || len(present) != 2 {
		t.Errorf("%v of %v", got, present)
	}
	if got := withoutFormer(present, present[:1]); len(got) != 2 {
		t.Errorf("%v", got)
	}
}
