// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/translate"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// kubelet plays the node and the gateway: pods become ready, and with a sidecar
// they answer for the configuration that the objects of the moment amount to.
type kubelet struct {
	*stage

	// mute stops the answers, as a gateway that does not take anything over.
	mute atomic.Bool
	// unready keeps new pods from becoming ready.
	unready atomic.Bool

	mu sync.Mutex

	problems []config.Problem
}

// startKubelet plays until the test ends.
func (s *stage) startKubelet() *kubelet {
	k := &kubelet{stage: s}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			if err := k.tick(ctx); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				s.t.Errorf("playing the kubelet: %v", err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	s.t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return k
}

// report makes the pods report problems.
func (k *kubelet) report(problems ...config.Problem) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.problems = problems
}

func (k *kubelet) tick(ctx context.Context) error {
	var pods corev1.PodList
	err := k.client.List(ctx, &pods, client.InNamespace(k.ns), client.MatchingLabels{stack.LabelManagedBy: stack.ManagedBy})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil {
			continue
		}
		if len(pod.Spec.Containers) > 1 && !k.mute.Load() {
			if err := k.answer(ctx, pod); err != nil {
				return err
			}
		}
		if !k.unready.Load() {
			if err := k.start(ctx, pod); err != nil {
				return err
			}
		}
	}
	return nil
}

// start makes a pod ready, once.
func (k *kubelet) start(ctx context.Context, pod *corev1.Pod) error {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return nil
		}
	}
	before := pod.DeepCopy()
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.ContainersReady, Status: corev1.ConditionTrue},
		{Type: corev1.PodReady, Status: corev1.ConditionTrue},
	}
	return k.client.Status().Patch(ctx, pod, client.MergeFrom(before))
}

// answer writes the report of a sidecar, if it differs.
func (k *kubelet) answer(ctx context.Context, pod *corev1.Pod) error {
	var gw v1alpha1.Gateway
	key := client.ObjectKey{Namespace: k.ns, Name: pod.Labels[stack.LabelGateway]}
	if err := k.client.Get(ctx, key, &gw); err != nil {
		return client.IgnoreNotFound(err)
	}
	var routes v1alpha1.RouteList
	if err := k.client.List(ctx, &routes, client.InNamespace(k.ns)); err != nil {
		return err
	}
	var middlewares v1alpha1.MiddlewareList
	if err := k.client.List(ctx, &middlewares, client.InNamespace(k.ns)); err != nil {
		return err
	}
	in := translate.Input{Gateway: key, Monitoring: translate.MonitoringMiddlewares(&gw), Paths: translate.RouteCerts(&gw)}
	for i := range routes.Items {
		in.Routes = append(in.Routes, &routes.Items[i])
	}
	for i := range middlewares.Items {
		in.Middlewares = append(in.Middlewares, &middlewares.Items[i])
	}
	b := translate.Bundle(in).Bundle
	k.mu.Lock()
	text := wire.NewReport(wire.Answer{
		Checksum: wire.Checksum(b), Routes: len(b.Routes), Middlewares: len(b.Middlewares), Problems: k.problems,
	}).Encode()
	k.mu.Unlock()
	if pod.Annotations[wire.ReportAnnotation] == text {
		return nil
	}
	before := pod.DeepCopy()
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[wire.ReportAnnotation] = text
	return k.client.Patch(ctx, pod, client.MergeFrom(before))
}
