// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/operator"
)

// patience is how long a test waits for something that must come. It bounds a
// failure and decides nothing.
const patience = 60 * time.Second

// stage is a namespace of a real API server, with an operator for it alone.
type stage struct {
	t      *testing.T
	cfg    *rest.Config
	client client.Client
	ns     string
	// requests counts what the operator asks of the API server.
	requests *requestLog
}

// newStage makes a namespace and installs the custom resource definitions.
func newStage(t *testing.T) *stage {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Fatal("KUBECONFIG names no API server: start one and set it")
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS, cfg.Burst = 1000, 2000
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, cfg: cfg, client: c, requests: &requestLog{}}
	s.installCRDs()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "operator-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	s.ns = ns.Name
	t.Cleanup(func() {
		if err := c.Delete(context.Background(), ns); err != nil {
			t.Errorf("deleting namespace %s: %v", ns.Name, err)
		}
	})
	return s
}

var crdsOnce sync.Mutex

// installCRDs applies deploy/crds and waits until they are served.
func (s *stage) installCRDs() {
	s.t.Helper()
	crdsOnce.Lock()
	defer crdsOnce.Unlock()
	dir := filepath.Join("..", "..", "deploy", "crds")
	if other := os.Getenv("GOMA_CRDS"); other != "" {
		dir = other
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("no custom resource definitions in %s: %v", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		s.applyText(string(text))
	}
	s.eventually("the custom resource definitions are served", func() error {
		for _, list := range []client.ObjectList{&v1alpha1.GatewayList{}, &v1alpha1.RouteList{}, &v1alpha1.MiddlewareList{}} {
			if err := s.client.List(s.t.Context(), list, client.InNamespace("default")); err != nil {
				return err
			}
		}
		return nil
	})
}

// operate runs an operator for the namespace until the test ends, or until the
// returned function is called.
func (s *stage) operate(o operator.Options) (stop func()) {
	s.t.Helper()
	o.Namespace = s.ns
	if os.Getenv("GOMA_TEST_LOG") != "" {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	cfg := rest.CopyConfig(s.cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return s.requests.count(next) })
	return s.run(cfg, o)
}

func (s *stage) run(cfg *rest.Config, o operator.Options) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- operator.Run(ctx, cfg, o) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				s.t.Errorf("the operator ended: %v", err)
			}
		})
	}
	s.t.Cleanup(stop)
	return stop
}

// applyText applies a manifest of one or more documents as a user would, and
// fails the test if one is refused.
func (s *stage) applyText(manifest string) {
	s.t.Helper()
	for _, o := range s.decode(manifest) {
		if err := s.apply(o); err != nil {
			s.t.Fatalf("applying %s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}

// apply creates or updates objects of this API, as a plain kubectl apply does;
// others are applied on the server.
func (s *stage) apply(o *unstructured.Unstructured) error {
	if o.GroupVersionKind().Group == v1alpha1.GroupVersion.Group {
		// The operator writes the status meanwhile: kubectl would patch, and not care.
		return retry.RetryOnConflict(retry.DefaultBackoff, func() error { return s.replace(o) })
	}
	return s.client.Apply(s.t.Context(), client.ApplyConfigurationFromUnstructured(o),
		client.FieldOwner("user"), client.ForceOwnership)
}

func (s *stage) replace(o *unstructured.Unstructured) error {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(o.GroupVersionKind())
	err := s.read(o.GetName(), live)
	if apierrors.IsNotFound(err) {
		return s.client.Create(s.t.Context(), o)
	}
	if err != nil {
		return err
	}
	o.SetResourceVersion(live.GetResourceVersion())
	return s.client.Update(s.t.Context(), o)
}

// decode gives the objects of a manifest, in the namespace of the stage where
// they have one.
func (s *stage) decode(manifest string) []*unstructured.Unstructured {
	s.t.Helper()
	var out []*unstructured.Unstructured
	for doc := range bytes.SplitSeq([]byte("\n"+manifest), []byte("\n---")) {
		if len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &o.Object); err != nil {
			s.t.Fatalf("%v in\n%s", err, doc)
		}
		if len(o.Object) == 0 {
			continue
		}
		if s.ns != "" && !strings.HasPrefix(o.GetKind(), "Cluster") && o.GetKind() != "CustomResourceDefinition" &&
			o.GetKind() != "Namespace" && !strings.HasPrefix(o.GetKind(), "ValidatingAdmission") {
			o.SetNamespace(s.ns)
		}
		out = append(out, o)
	}
	return out
}

// get reads an object of the namespace; the test fails if it is not there.
func (s *stage) get(name string, o client.Object) {
	s.t.Helper()
	if err := s.client.Get(s.t.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, o); err != nil {
		s.t.Fatalf("reading %T %s: %v", o, name, err)
	}
}

// read is get for use within eventually.
func (s *stage) read(name string, o client.Object) error {
	return s.client.Get(s.t.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, o)
}

// gone is nil when there is no such object.
func (s *stage) gone(name string, o client.Object) error {
	err := s.read(name, o)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%T %s is still there", o, name)
}

// eventually waits until check passes.
func (s *stage) eventually(what string, check func() error) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
		select {
		case <-s.t.Context().Done():
			s.t.Fatalf("%s: %v", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// condition gives an error unless a condition has the status and the reason.
func condition(list []metav1.Condition, kind string, status metav1.ConditionStatus, reason string) error {
	for _, c := range list {
		if c.Type != kind {
			continue
		}
		if c.Status != status || reason != "" && c.Reason != reason {
			return fmt.Errorf("condition %s is %s/%s (%s), want %s/%s", kind, c.Status, c.Reason, c.Message, status, reason)
		}
		return nil
	}
	return fmt.Errorf("there is no condition %s in %v", kind, list)
}

// requestLog counts requests.
type requestLog struct {
	mu sync.Mutex

	reads  int
	writes []string
}

func (l *requestLog) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		l.mu.Lock()
		if r.Method == http.MethodGet {
			l.reads++
		} else {
			l.writes = append(l.writes, r.Method+" "+r.URL.Path)
			if os.Getenv("GOMA_TEST_LOG") != "" && r.Body != nil {
				b, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(b))
				fmt.Println(r.Method, r.URL.Path, string(b))
			}
		}
		l.mu.Unlock()
		return next.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// since gives the writes after the first n.
func (l *requestLog) since(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.writes[n:]...)
}

func (l *requestLog) written() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.writes)
}

// matching counts the writes whose text holds all parts.
func (l *requestLog) matching(parts ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, w := range l.writes {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(w, part)
		}
		if all {
			n++
		}
	}
	return n
}
