// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// reporting runs a reporter; each report that was written comes out of the
// channel, together with when. refuse is asked before.
func reporting(t *testing.T, refuse func() error) (r *reporter, reports chan wire.Report, applied chan uint64) {
	t.Helper()
	dir := t.TempDir()
	w, err := wire.NewWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	reports, applied = make(chan wire.Report, 100), make(chan uint64, 100)
	r = newReporter(slog.New(slog.DiscardHandler), newMetrics(), dir)
	r.applied = func(generation uint64) { applied <- generation }
	r.patch = func(_ context.Context, body []byte) error {
		if err := refuse(); err != nil {
			return err
		}
		var pod struct {
			Metadata struct {
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(body, &pod); err != nil {
			t.Error(err)
		}
		report, err := wire.ParseReport(pod.Metadata.Annotations[wire.ReportAnnotation])
		if err != nil {
			t.Error(err)
		}
		reports <- report
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r, reports, applied
}

func answer(t *testing.T, r *reporter, a wire.Answer) {
	t.Helper()
	if err := wire.WriteAnswer(r.dir, a); err != nil {
		t.Fatal(err)
	}
}

func within[T any](t *testing.T, c chan T) T {
	t.Helper()
	select {
	case x := <-c:
		return x
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestEveryAnswerIsReportedAndTheLastOneWins(t *testing.T) {
	t.Parallel()
	r, reports, applied := reporting(t, func() error { return nil })
	answer(t, r, wire.Answer{Generation: 1})
	if got := within(t, reports); got.Generation != 1 {
		t.Fatalf("report %+v", got)
	}
	if got := within(t, applied); got != 1 {
		t.Errorf("the engine was told %d", got)
	}
	began := time.Now()
	const answers = 50
	for g := range uint64(answers) {
		answer(t, r, wire.Answer{Generation: 2 + g})
	}
	n := 1
	for within(t, reports).Generation != answers+1 {
		n++
	}
	if most := int(time.Since(began)/reportPause) + 2; n > most {
		t.Errorf("%d reports in %s, want at most %d", n, time.Since(began), most)
	}
}

func TestReportIsTriedAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	refusals := 2
	r, reports, _ := reporting(t, func() error {
		if refusals > 0 {
			refusals--
			return errors.New("forbidden")
		}
		return nil
	})
	answer(t, r, wire.Answer{Generation: 7})
	if got := within(t, reports); got.Generation != 7 {
		t.Errorf("report %+v", got)
	}
}

func TestProblemsOfTheSidecarAreReportedWithTheAnswer(t *testing.T) {
	t.Parallel()
	r, reports, _ := reporting(t, func() error { return nil })
	own := config.Problem{Object: config.ObjectRef{Kind: "Route", Name: "a"}, Reason: config.ReasonSecretInvalid, Message: "half"}
	r.update(nil)
	r.update([]config.Problem{own})
	answer(t, r, wire.Answer{Generation: 1})
	got := within(t, reports)
	if len(got.Problems) == 0 { // the answer was there before the problem
		got = within(t, reports)
	}
	if len(got.Problems) != 1 || got.Problems[0] != own {
		t.Fatalf("report %+v", got)
	}
	r.update(nil)
	if got := within(t, reports); len(got.Problems) != 0 {
		t.Errorf("report %+v", got)
	}
}

func TestCertificatesAreReportedBesideTheAnswer(t *testing.T) {
	t.Parallel()
	a := &wire.Answer{Generation: 1, Certificates: []wire.Certificate{{Host: "a.example.com", Error: "no such name"}}}
	text := reportText(a, nil)
	list, err := wire.ParseCertificates(text.certificates)
	if err != nil || len(list) != 1 || list[0] != a.Certificates[0] || strings.Contains(text.applied, "a.example.com") {
		t.Errorf("%+v, %v", text, err)
	}
	if patch := string(annotationPatch(text)); !strings.Contains(patch, `"goma.jkaninda.dev/certificates":"[{`) {
		t.Errorf("patch %s", patch)
	}
	a.Certificates = nil
	if patch := string(annotationPatch(reportText(a, nil))); !strings.Contains(patch, `"goma.jkaninda.dev/certificates":null`) {
		t.Errorf("what there is nothing to say of any more stays: %s", patch)
	}
}

func TestNothingIsReportedBeforeTheFirstAnswer(t *testing.T) {
	t.Parallel()
	if got := reportText(nil, []config.Problem{{Message: "x"}}); got != (report{}) {
		t.Errorf("got %+v", got)
	}
}

func TestProblemsThatBothSidesSeeAreToldOnce(t *testing.T) {
	t.Parallel()
	problem := func(name string, reason config.Reason, severity config.Severity, who string) config.Problem {
		return config.Problem{Object: config.ObjectRef{Kind: "Route", Name: name}, Reason: reason, Severity: severity, Message: who}
	}
	own := []config.Problem{
		problem("a", config.ReasonSecretInvalid, config.SeverityError, "own"),
		problem("b", config.ReasonMiddlewareNotFound, config.SeverityError, "own"),
		problem("c", config.ReasonSecretInvalid, config.SeverityWarning, "own"),
		problem("d", config.ReasonInvalid, config.SeverityError, "own"),
	}
	gateway := []config.Problem{
		problem("a", config.ReasonSecretNotFound, config.SeverityError, "same"),
		problem("b", config.ReasonMiddlewareNotFound, config.SeverityError, "same"),
		problem("b", config.ReasonMiddlewareInvalid, config.SeverityError, "another"),
		problem("c", config.ReasonSecretNotFound, config.SeverityError, "worse"),
		problem("d", config.ReasonInvalid, config.SeverityError, "another"),
		problem("e", config.ReasonSecretNotFound, config.SeverityError, "another"),
	}
	var got []string
	for _, p := range join(own, gateway) {
		got = append(got, p.Object.Name+" "+p.Message)
	}
	want := []string{"a own", "b own", "c own", "d own", "b another", "c worse", "d another", "e another"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
