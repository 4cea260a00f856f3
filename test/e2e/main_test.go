// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package e2e drives the product on a real cluster: images in containers, objects
// through kubectl, requests through Services. It needs KUBECONFIG, and the images
// of "make images" on the node; test/run.sh sees to both.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgo "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
)

// root is the repository, as the tests see it.
const root = "../../"

// kube reads what the cluster has.
var kube client.Client

func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "preparing the cluster:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// prepare installs the operator as the documentation says.
func prepare() error {
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		return errors.New("KUBECONFIG must name a cluster; make e2e starts one")
	}
	restConfig, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgo.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if kube, err = client.New(restConfig, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if _, err := kubectl("", "apply", "--server-side", "-f", root+"deploy/install.yaml"); err != nil {
		return err
	}
	_, err = kubectl("", "-n", "goma-operator-system", "wait", "--for=condition=Available", "--timeout=120s", "deployment", "--all")
	return err
}

// kubectl runs kubectl with a manifest, or nothing, as its input.
func kubectl(input string, args ...string) (string, error) {
	program := os.Getenv("KUBECTL")
	if program == "" {
		program = "kubectl"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// world is a namespace of its own for one test.
type world struct {
	*testing.T
	namespace string
}

func newWorld(t *testing.T, namespace string) *world {
	t.Helper()
	w := &world{t, namespace}
	w.kubectl("", "create", "namespace", namespace)
	t.Cleanup(func() {
		if t.Failed() {
			w.report()
		}
		_, _ = kubectl("", "delete", "namespace", namespace, "--wait=false")
	})
	return w
}

func (w *world) kubectl(input string, args ...string) string {
	w.Helper()
	out, err := kubectl(input, append([]string{"-n", w.namespace}, args...)...)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func (w *world) apply(manifest string) {
	w.Helper()
	w.kubectl(manifest, "apply", "-f", "-")
}

// get reads an object; absent tells that there is none.
func (w *world) get(name string, object client.Object) (absent bool) {
	w.Helper()
	err := kube.Get(w.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, object)
	if client.IgnoreNotFound(err) != nil {
		w.Fatal(err)
	}
	return err != nil
}

const patience = 2 * time.Minute

// until waits for a condition, and says at the end what it waited for.
func (w *world) until(what string, holds func() bool) {
	w.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			w.Fatalf("waited %s in vain until %s", patience, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// report shows what a person would look at first.
func (w *world) report() {
	for _, args := range [][]string{
		{"get", "gateways,routes,middlewares,pods,services,deployments", "-o", "wide"},
		{"get", "gateways,routes,middlewares", "-o", "yaml"},
		{"get", "events", "--sort-by=.lastTimestamp"},
		{"logs", "-l", "app.kubernetes.io/managed-by=goma-operator", "--all-containers", "--prefix", "--tail=50"},
	} {
		out, _ := kubectl("", append([]string{"-n", w.namespace}, args...)...)
		w.Logf("kubectl %s\n%s", strings.Join(args, " "), out)
	}
	out, _ := kubectl("", "-n", "goma-operator-system", "logs", "deployment/goma-operator-controller-manager", "--tail=60")
	w.Logf("the operator\n%s", out)
}
