// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/wire"
)

const (
	// reportPause is the least time between two writes to the API server.
	reportPause = 200 * time.Millisecond
	// The pauses after a report that was refused. The right to write it comes a
	// moment after the pod.
	reportRetryFirst = time.Second
	reportRetryMost  = 15 * time.Second
)

// reporter carries the gateway's answer to the annotation of the pod.
type reporter struct {
	log     *slog.Logger
	metrics *metrics
	dir     string
	// patch writes the annotation; nil when there is no pod to annotate.
	patch func(ctx context.Context, body []byte) error
	// applied is told the generation of each new answer.
	applied func(generation uint64)
	// problems takes those that the sidecar itself has found; the newest counts.
	problems chan []config.Problem
}

func newReporter(log *slog.Logger, m *metrics, dir string) *reporter {
	return &reporter{log: log, metrics: m, dir: dir, problems: make(chan []config.Problem, 1)}
}

// update replaces the problems that the sidecar itself has found. It does not wait.
func (r *reporter) update(problems []config.Problem) {
	for {
		select {
		case r.problems <- problems:
			return
		case <-r.problems: // one that nobody has looked at
		}
	}
}

// run works until the context ends.
func (r *reporter) run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching for the gateway's answer: %w", err)
	}
	defer watcher.Close()
	if err := watcher.Add(wire.AnswerDir(r.dir)); err != nil {
		return fmt.Errorf("watching for the gateway's answer: %w", err)
	}
	var own []config.Problem
	answer := r.read(nil)
	var written report
	retry := time.Duration(0)
	// again is when the next write may be made. Waiting for it is also what
	// takes together the events of one answer.
	again := time.NewTimer(0)
	defer again.Stop()
	waiting := true
	for {
		select {
		case <-ctx.Done():
			return nil
		case own = <-r.problems:
		case <-watcher.Events:
			answer = r.read(answer)
		case err := <-watcher.Errors:
			r.log.Warn("events of the gateway's answer missed", "err", err)
			answer = r.read(answer)
		case <-again.C:
			waiting = false
		}
		text := reportText(answer, own)
		if waiting || text == (report{}) || text == written {
			continue
		}
		pause := reportPause
		if r.write(ctx, text) {
			written, retry = text, 0
		} else {
			retry = min(max(2*retry, reportRetryFirst), reportRetryMost)
			pause = retry
		}
		again.Reset(pause)
		waiting = true
	}
}

// read gives the newest answer, or the last when there is nothing better.
func (r *reporter) read(last *wire.Answer) *wire.Answer {
	answer, err := wire.ReadAnswer(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return last
	}
	if err != nil {
		r.log.Warn("answer of the gateway not understood", "err", err)
		return last
	}
	if r.applied != nil && (last == nil || last.Generation != answer.Generation) {
		r.applied(answer.Generation)
	}
	return answer
}

// write patches the pod, and tells whether that was done.
func (r *reporter) write(ctx context.Context, text report) bool {
	if r.patch == nil {
		return true
	}
	err := r.patch(ctx, annotationPatch(text))
	if err != nil {
		if ctx.Err() == nil {
			r.metrics.reports.WithLabelValues("error").Inc()
			r.log.Warn("report not written to the pod", "err", err)
		}
		return false
	}
	r.metrics.reports.WithLabelValues("ok").Inc()
	return true
}

// report is the text of the pod's annotations.
type report struct{ applied, certificates string }

// annotationPatch takes away what there is nothing to say of.
func annotationPatch(text report) []byte {
	annotations := map[string]any{wire.ReportAnnotation: text.applied, wire.CertificatesAnnotation: nil}
	if text.certificates != "" {
		annotations[wire.CertificatesAnnotation] = text.certificates
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		// Maps of strings can always be encoded.
		panic(err)
	}
	return body
}

// reportText joins the gateway's answer and what the sidecar has found; nothing
// before the first answer.
func reportText(answer *wire.Answer, own []config.Problem) report {
	if answer == nil {
		return report{}
	}
	joined := *answer
	joined.Problems = join(own, answer.Problems)
	return report{applied: wire.NewReport(joined).Encode(), certificates: wire.EncodeCertificates(answer.Certificates)}
}

// topic is what a problem is about, as far as two can be about the same.
type topic struct {
	kind, name string
	reason     config.Reason
}

// topicOf gives the topic of a problem that both sides can see.
func topicOf(p config.Problem) (topic, bool) {
	t := topic{p.Object.Kind, p.Object.Name, p.Reason}
	switch p.Reason {
	case config.ReasonMiddlewareNotFound, config.ReasonSecretNotFound:
	case config.ReasonSecretInvalid:
		t.reason = config.ReasonSecretNotFound
	default:
		return t, false
	}
	return t, true
}

// join adds the gateway's problems to the sidecar's own, leaving out those that
// say the same with less knowledge: the gateway sees a missing file where the
// sidecar knows what is wrong with the Secret.
func join(own, gateway []config.Problem) []config.Problem {
	known := map[topic]bool{}
	for _, p := range own {
		if t, ok := topicOf(p); ok && p.Severity == config.SeverityError {
			known[t] = true
		}
	}
	list := slices.Clone(own)
	for _, p := range gateway {
		if t, ok := topicOf(p); !ok || !known[t] {
			list = append(list, p)
		}
	}
	return list
}
