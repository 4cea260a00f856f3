// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	dto "github.com/prometheus/client_model/go"
)

func counted(t *testing.T, where string) float64 {
	t.Helper()
	var m dto.Metric
	if err := panics.WithLabelValues(where).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// O13: one object that nobody expected does not stop the work on all others.
func TestAPanicWhileAChangeIsFollowedIsCounted(t *testing.T) { // E5
	t.Parallel()
	find := guarded("a test", func(_ context.Context, o client.Object) []ctrl.Request {
		if o == nil {
			panic("no object")
		}
		return requests(o.GetNamespace(), []string{o.GetName()})
	})
	before := counted(t, "a test")
	if got := find(t.Context(), nil); got != nil {
		t.Errorf("woke %v", got)
	}
	if n := counted(t, "a test") - before; n != 1 {
		t.Errorf("counted %v", n)
	}
	p := pod("p", nil)
	if got := find(t.Context(), &p); len(got) != 1 || counted(t, "a test") != before+1 {
		t.Errorf("woke %v", got)
	}
}

// What cannot be compared is looked at.
func TestAPanicOverAPodLetsTheChangeThrough(t *testing.T) { // E5
	t.Parallel()
	before := counted(t, "change of a pod")
	if !podChanged().Update(event.UpdateEvent{ObjectOld: (*corev1.Pod)(nil), ObjectNew: (*corev1.Pod)(nil)}) {
		t.Error("the change is dropped")
	}
	if counted(t, "change of a pod") != before+1 {
		t.Error("it is not counted")
	}
}

// A leader that dies is followed within 20 seconds, and one that cannot renew stops first.
func TestALeaderIsFollowedInTime(t *testing.T) {
	t.Parallel()
	const jitter = 1.2 // of client-go's leader election, which adds it to a period
	if worst := leaseDuration + time.Duration(float64(retryPeriod)*(1+jitter)); worst > 20*time.Second {
		t.Errorf("it may take %s", worst)
	}
	if renewDeadline >= leaseDuration || float64(renewDeadline) <= jitter*float64(retryPeriod) {
		t.Errorf("renew within %s of a lease of %s, every %s", renewDeadline, leaseDuration, retryPeriod)
	}
}
