// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package k8sprovider

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptionsComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"GOMA_K8S_GATEWAY": "g", "GOMA_K8S_NAMESPACE": "n", "GOMA_K8S_OUTPUT_DIR": "/out", "GOMA_K8S_CERTS_DIR": "/certs",
		"GOMA_K8S_POD": "p", "GOMA_K8S_LISTEN": ":1", "GOMA_K8S_DEBOUNCE_MS": "120", "GOMA_K8S_STOP_DELAY": "5s",
		"GOMA_K8S_ACME_SECRET": "acme",
	}
	o := FromEnvironment(func(name string) string { return env[name] })
	if o.Gateway != "g" || o.Namespace != "n" || o.OutputDir != "/out" || o.CertsDir != "/certs" || o.Pod != "p" ||
		o.Listen != ":1" || o.Debounce != 120*time.Millisecond || o.StopDelay != 5*time.Second || o.ACMESecret != "acme" {
		t.Errorf("got %+v", o)
	}
	o = FromEnvironment(func(string) string { return "" }).withDefaults()
	if o.OutputDir != "/etc/goma/providers/k8s" || o.CertsDir != "/etc/goma/route-certs" || o.Listen != ":9903" ||
		o.Debounce != 50*time.Millisecond || o.StopDelay != 0 {
		t.Errorf("defaults are %+v", o)
	}
}

func TestValuesThatMakeNoSenseAreTheDefault(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "0", "-5", "fast", "1.5", "99999999999999999999", "999999999"} {
		if got := milliseconds(text); got != 0 {
			t.Errorf("a debounce of %q is %s", text, got)
		}
	}
	delays := map[string]time.Duration{"": 0, "-1s": 0, "soon": 0, "3": 3 * time.Second, "1m": time.Minute}
	for text, want := range delays {
		if got := delay(text); got != want {
			t.Errorf("a delay of %q is %s, want %s", text, got, want)
		}
	}
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "WARN": slog.LevelWarn, "error": slog.LevelError, "info": slog.LevelInfo, "": slog.LevelInfo, "loud": slog.LevelInfo,
	}
	for text, want := range levels {
		if got := LogLevel(text); got != want {
			t.Errorf("level %q is %s, want %s", text, got, want)
		}
	}
}

func TestAllFaultsOfTheOptionsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), Options{})
	for _, want := range []string{"GOMA_K8S_GATEWAY", "GOMA_K8S_NAMESPACE", "API server"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
	err = Options{Gateway: "../g", Namespace: "a/b", Config: &rest.Config{}}.Validate()
	if err == nil || strings.Count(err.Error(), "is not the name") != 2 {
		t.Errorf("names that are none: %v", err)
	}
}

func TestRunTellsWhatAnotherVolumeWouldPutRight(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := Options{
		Gateway: "g", Namespace: "n", OutputDir: t.TempDir(), CertsDir: t.TempDir(),
		Listen: "127.0.0.1:0", Config: &rest.Config{Host: "http://127.0.0.1:1"},
	}
	tests := map[string]func(o *Options){
		"making the bundle directory":      func(o *Options) { o.OutputDir = filepath.Join(file, "x") },
		"making the certificate directory": func(o *Options) { o.CertsDir = filepath.Join(file, "x") },
		"listening for probes":             func(o *Options) { o.Listen = "127.0.0.1:no-port" },
	}
	for want, spoil := range tests {
		o := good
		spoil(&o)
		if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestRunEndsWhenItsContextDoes also has no API server at all, which is no
// reason to end.
func TestRunEndsWhenItsContextDoes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	log := &strings.Builder{}
	listening := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			Gateway: "g", Namespace: "n", OutputDir: t.TempDir(), CertsDir: t.TempDir(), Pod: "p", ACMESecret: "acme",
			Listen: "127.0.0.1:0", Listening: func(a string) { listening <- a },
			Config: &rest.Config{Host: "http://127.0.0.1:1"},
			Logger: slog.New(slog.NewJSONHandler(log, nil)),
		})
	}()
	address := <-listening
	response, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if response.StatusCode != http.StatusOK {
		t.Errorf("/healthz is %d", response.StatusCode)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	if !strings.Contains(log.String(), "GOMA_K8S_ACME_SECRET") {
		t.Error("nobody says that the store is not mirrored")
	}
}

func TestSidecarOutlivesItsSignalByTheStopDelay(t *testing.T) { // K5
	t.Parallel()
	for _, delay := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			longer, stop := outlast(ctx, delay, nil)
			defer stop()
			began := time.Now()
			cancel()
			<-longer.Done()
			if took := time.Since(began); took != delay {
				t.Errorf("ended after %s, want %s", took, delay)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	longer, stop := outlast(ctx, time.Hour, nil)
	cancel()
	stop()
	<-longer.Done()
}

func TestTheSidecarEndsWhenTheGatewayHasGone(t *testing.T) { // K5
	t.Parallel()
	for name, c := range map[string]struct{ drain, delay, want time.Duration }{
		"a drain that ends":              {20 * time.Second, time.Minute, 20 * time.Second},
		"a gateway that is gone already": {0, time.Minute, 0},
		"a drain that takes too long":    {2 * time.Minute, time.Minute, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			began := time.Now()
			longer, stop := outlast(ctx, c.delay, func(context.Context) bool { return time.Since(began) < c.drain })
			defer stop()
			cancel()
			<-longer.Done()
			if took := time.Since(began); took < c.want || took > c.want+askEvery {
				t.Errorf("%s: ended after %s, want %s", name, took, c.want)
			}
		})
	}
}

func TestAnyAnswerIsASignOfLife(t *testing.T) { // K5
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	alive := answering(server.URL)
	if !alive(t.Context()) {
		t.Error("an answer is no sign of life")
	}
	server.Close()
	if alive(t.Context()) {
		t.Error("nobody is taken for somebody")
	}
	if answering("") != nil {
		t.Error("without a URL somebody is asked")
	}
}

func TestHealthzTellsWhenTheEngineHangs(t *testing.T) { // K6
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &engine{events: make(chan func()), metrics: newMetrics()}
		for path, want := range map[string]int{"/healthz": 503, "/readyz": 503, "/metrics": 200, "/": 404} {
			w := httptest.NewRecorder()
			handler(e).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			if w.Code != want {
				t.Errorf("%s is %d, want %d", path, w.Code, want)
			}
		}
	})
}

func TestConnectUsesAKubeconfigOnlyWhenItIsGiven(t *testing.T) { // K6
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c",
		"clusters":[{"name":"c","cluster":{"server":"https://example.com"}}],
		"contexts":[{"name":"c","context":{"cluster":"c","namespace":"shop"}}]}`
	file := filepath.Join(home, ".kube", "config")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Connect(""); err == nil || !strings.Contains(err.Error(), "--kubeconfig") {
		t.Errorf("got %v, want an error that tells the way out", err)
	}
	config, namespace, err := Connect(file)
	if err != nil || config.Host != "https://example.com" || namespace != "shop" {
		t.Errorf("got %v, %s, %v", config, namespace, err)
	}
	if _, _, err := Connect(filepath.Join(home, "missing")); err == nil {
		t.Error("a missing file is no error")
	}
}
