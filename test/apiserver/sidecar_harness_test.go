// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build apiserver

package apiserver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/k8sprovider"
	"gateway.jkaninda.dev/goma/internal/wire"
)

// sidecarPatience bounds how long a test waits for what must come.
const sidecarPatience = 60 * time.Second

// sidecarScene is a namespace of a real API server with a Gateway called
// "gateway", for sidecars to watch.
type sidecarScene struct {
	*testing.T
	cfg *rest.Config
	client.Client
	ns string
}

var sidecarCRDs = sync.OnceValue(func() error {
	dir := filepath.Join("..", "..", "deploy", "crds")
	if other := os.Getenv("GOMA_CRDS"); other != "" {
		dir = other
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no custom resource definitions in %s: %w", dir, err)
	}
	_, c, err := sidecarClient()
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &crd); err != nil {
			return err
		}
		if err := sidecarApplyCRD(c, &crd); err != nil {
			return err
		}
	}
	return nil
})

// sidecarApplyCRD makes a definition what the file says, whoever installed it.
func sidecarApplyCRD(c client.Client, crd *apiextensionsv1.CustomResourceDefinition) error {
	ctx := context.Background()
	err := c.Create(ctx, crd.DeepCopy())
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	var live apiextensionsv1.CustomResourceDefinition
	if err := c.Get(ctx, client.ObjectKeyFromObject(crd), &live); err != nil {
		return err
	}
	live.Spec = crd.Spec
	err = c.Update(ctx, &live)
	if apierrors.IsConflict(err) { // somebody else installs it at this moment
		return sidecarApplyCRD(c, crd)
	}
	return err
}

func sidecarClient() (*rest.Config, client.Client, error) {
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		return nil, nil, fmt.Errorf("KUBECONFIG names no API server: start one and set it")
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, nil, err
	}
	cfg.QPS, cfg.Burst = 2000, 4000
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, rbacv1.AddToScheme, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, nil, err
		}
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	return cfg, c, err
}

func newSidecarScene(t *testing.T) *sidecarScene {
	t.Helper()
	if err := sidecarCRDs(); err != nil {
		t.Fatal(err)
	}
	cfg, c, err := sidecarClient()
	if err != nil {
		t.Fatal(err)
	}
	s := &sidecarScene{T: t, cfg: cfg, Client: c}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "sidecar-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	s.ns = ns.Name
	t.Cleanup(func() {
		if err := c.Delete(context.WithoutCancel(t.Context()), ns); err != nil {
			t.Error(err)
		}
	})
	s.until("the custom resources are served", func() error {
		return c.List(t.Context(), &v1alpha1.RouteList{}, client.InNamespace(s.ns))
	})
	s.create(&v1alpha1.Gateway{ObjectMeta: metav1.ObjectMeta{Name: "gateway"}})
	return s
}

// until waits until check finds nothing wrong.
func (s *sidecarScene) until(what string, check func() error) {
	s.Helper()
	deadline := time.Now().Add(sidecarPatience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *sidecarScene) create(o client.Object) {
	s.Helper()
	o.SetNamespace(s.ns)
	if err := s.Create(s.Context(), o); err != nil {
		s.Fatal(err)
	}
}

func (s *sidecarScene) remove(o client.Object) {
	s.Helper()
	o.SetNamespace(s.ns)
	if err := s.Delete(s.Context(), o); err != nil {
		s.Fatal(err)
	}
}

// edit changes an object, again when somebody else has meanwhile.
func edit[T client.Object](s *sidecarScene, o T, change func(T)) {
	s.Helper()
	s.until("editing "+o.GetName(), func() error {
		if err := s.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: o.GetName()}, o); err != nil {
			return err
		}
		change(o)
		return s.Update(s.Context(), o)
	})
}

func (s *sidecarScene) route(name, target string) *v1alpha1.Route {
	return &v1alpha1.Route{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.ns},
		Spec:       v1alpha1.RouteSpec{Gateways: []string{"gateway"}, Path: "/" + name, Target: target},
	}
}

func (s *sidecarScene) middleware(name, rule string) *v1alpha1.Middleware {
	return &v1alpha1.Middleware{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.ns},
		Spec:       v1alpha1.MiddlewareSpec{Type: "requestHeaders", Rule: &apiextensionsv1.JSON{Raw: []byte(rule)}},
	}
}

// sidecar is a running goma-k8s-provider.
type sidecar struct {
	scene   *sidecarScene
	out     string
	certs   string
	address string
	reader  *wire.Reader
	log     *lockedBuffer
	stop    func()
}

// sidecarDirs are new directories for a sidecar.
func (s *sidecarScene) sidecarDirs() k8sprovider.Options {
	return k8sprovider.Options{OutputDir: filepath.Join(s.TempDir(), "out"), CertsDir: filepath.Join(s.TempDir(), "certs")}
}

// start runs a sidecar until the test ends or it is stopped.
func (s *sidecarScene) start(o k8sprovider.Options) *sidecar {
	s.Helper()
	c := &sidecar{scene: s, out: o.OutputDir, certs: o.CertsDir, reader: wire.NewReader(o.OutputDir), log: &lockedBuffer{}}
	o.Gateway, o.Namespace, o.Listen = "gateway", s.ns, "127.0.0.1:0"
	o.Logger = slog.New(slog.NewJSONHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.Config == nil {
		o.Config = s.cfg
	}
	listening := make(chan string, 1)
	o.Listening = func(address string) { listening <- address }
	ctx, cancel := context.WithCancel(s.Context())
	ended := make(chan error, 1)
	go func() { ended <- k8sprovider.Run(ctx, o) }()
	c.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.Errorf("the sidecar ended with %v", err)
		}
		_ = c.reader.Close()
	})
	s.Cleanup(func() {
		c.stop()
		if s.Failed() {
			s.Logf("log of the sidecar:\n%s", c.log)
		}
	})
	select {
	case c.address = <-listening:
	case err := <-ended:
		s.Fatalf("the sidecar ended with %v", err)
	}
	return c
}

// view is what a gateway would see; nil before the first commit.
func (c *sidecar) view() *wire.View {
	c.scene.Helper()
	v, _, err := c.reader.Read()
	if err != nil {
		c.scene.Fatal(err)
	}
	return v
}

// serves tells what is wrong with what a gateway would see.
func (c *sidecar) serves(want map[string]string) error {
	v := c.view()
	if v == nil {
		return fmt.Errorf("nothing is committed")
	}
	got := map[string]string{}
	for _, r := range v.Bundle.Routes {
		got[r.Name] = r.Target
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("generation %d holds %v, want %v", v.Generation, got, want)
	}
	return nil
}

func (c *sidecar) wait(want map[string]string) {
	c.scene.Helper()
	c.scene.until("routes", func() error { return c.serves(want) })
}

// get asks the sidecar's own listener.
func (c *sidecar) get(path string) (int, string) {
	c.scene.Helper()
	response, err := http.Get("http://" + c.address + path)
	if err != nil {
		c.scene.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.scene.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// file is a file of a Secret; empty when it is not there.
func (c *sidecar) file(secret, key string) string {
	data, err := os.ReadFile(filepath.Join(c.certs, secret, key))
	if err != nil && !os.IsNotExist(err) {
		c.scene.Fatal(err)
	}
	return string(data)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// as gives the configuration of the service account of the Gateway, whose rights
// are only those that the test grants.
func (s *sidecarScene) as() *rest.Config {
	cfg := rest.CopyConfig(s.cfg)
	cfg.Impersonate.UserName = "system:serviceaccount:" + s.ns + ":gateway"
	return cfg
}

// grant gives the service account of the Gateway a right, by a Role of its own.
func (s *sidecarScene) grant(name, group string, resources, names, verbs []string) {
	s.Helper()
	s.create(&rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: resources, ResourceNames: names, Verbs: verbs}},
	})
	s.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "gateway", Namespace: s.ns}},
	})
}

var readVerbs = []string{"get", "list", "watch"}

// grantBasics gives what every sidecar has: no Secret and no pod.
func (s *sidecarScene) grantBasics() {
	s.Helper()
	group := v1alpha1.GroupVersion.Group
	s.grant("objects", group, []string{"routes", "middlewares"}, nil, readVerbs)
	s.grant("gateway", group, []string{"gateways"}, []string{"gateway"}, readVerbs)
}
