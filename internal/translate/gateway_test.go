// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/schema"
)

var updateGateway = flag.Bool("update-gateway", false, "write testdata/gateway anew")

// Each testdata/gateway/NAME.in.yaml is a Gateway and what belongs to it,
// NAME.out.yml the goma.yml that comes of it, problems included.
func TestAGatewayBecomesItsStaticConfiguration(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/gateway/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, path := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".in.yaml"), func(t *testing.T) {
			t.Parallel()
			file, problems := gatewayFile(t, path)
			text, err := config.MarshalFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			for _, p := range problems {
				out.WriteString("# " + p.String() + "\n")
			}
			out.Write(text)
			golden := strings.TrimSuffix(path, ".in.yaml") + ".out.yml"
			if *updateGateway {
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out.Bytes(), want) {
				t.Errorf("%s differs; run with -update-gateway and read the difference. Have:\n%s", golden, out.Bytes())
			}
		})
	}
}

func gatewayFile(t *testing.T, path string) (*config.File, []config.Problem) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	validator, err := schema.New()
	if err != nil {
		t.Fatal(err)
	}
	var gw v1alpha1.Gateway
	var in Input
	for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
		object, err := schema.Decode(doc)
		if err != nil {
			t.Fatal(err)
		}
		validator.Default(object)
		switch object["kind"] {
		case "Gateway":
			decode(t, object, &gw)
		case "Route":
			in.Routes = append(in.Routes, decode(t, object, &v1alpha1.Route{}))
		case "Middleware":
			in.Middlewares = append(in.Middlewares, decode(t, object, &v1alpha1.Middleware{}))
		}
	}
	in.Gateway, in.Paths = client.ObjectKeyFromObject(&gw), RouteCerts(&gw)
	return Gateway(&gw, GatewayOptions{Bundle: Bundle(in).Bundle})
}

func decode[T any](t *testing.T, object map[string]any, o T) T {
	t.Helper()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object, o, true); err != nil {
		t.Fatal(err)
	}
	return o
}

// C8: what a Gateway spells out in plain text is not in its file.
func TestTheStaticConfigurationHoldsNoSecret(t *testing.T) {
	t.Parallel()
	gw := &v1alpha1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "gateway"},
		Spec: v1alpha1.GatewaySpec{Server: &v1alpha1.Server{
			Redis:  &v1alpha1.Redis{Addr: "redis:6379", Password: "canary-password"},
			Reload: &v1alpha1.Reload{Enabled: true, Token: "canary-token"},
		}},
	}
	file, _ := Gateway(gw, GatewayOptions{})
	text, err := config.MarshalFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"${GOMA_REDIS_PASSWORD}", "${GOMA_RELOAD_TOKEN}"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the file does not refer to %s:\n%s", want, text)
		}
	}
	if bytes.Contains(text, []byte("canary")) {
		t.Errorf("the file holds a secret:\n%s", text)
	}
}

// M22: Gateways that share a server do not share their budgets.
func TestKeysInRedisAreThoseOfOneGateway(t *testing.T) {
	t.Parallel()
	prefixes := map[string]bool{}
	for _, meta := range []metav1.ObjectMeta{{Namespace: "a", Name: "b"}, {Namespace: "a", Name: "c"}, {Namespace: "b", Name: "b"}, {Namespace: "a-b", Name: "c"}, {Namespace: "a", Name: "b-c"}} {
		gw := &v1alpha1.Gateway{ObjectMeta: meta, Spec: v1alpha1.GatewaySpec{Server: &v1alpha1.Server{Redis: &v1alpha1.Redis{Addr: "redis:6379"}}}}
		file, _ := Gateway(gw, GatewayOptions{})
		prefixes[file.Gateway.Redis.KeyPrefix] = true
	}
	if len(prefixes) != 5 || !prefixes["goma:a/b:"] {
		t.Errorf("prefixes %v", prefixes)
	}
}

func TestTheSidecarIsOnUnlessItIsTurnedOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		providers *v1alpha1.Providers
		want      bool
	}{
		"no providers":   {nil, true},
		"no kubernetes":  {&v1alpha1.Providers{}, true},
		"not said":       {&v1alpha1.Providers{Kubernetes: &v1alpha1.KubernetesProvider{}}, true},
		"said to be on":  {&v1alpha1.Providers{Kubernetes: &v1alpha1.KubernetesProvider{Enabled: new(true)}}, true},
		"said to be off": {&v1alpha1.Providers{Kubernetes: &v1alpha1.KubernetesProvider{Enabled: new(false)}}, false},
	} {
		gw := &v1alpha1.Gateway{Spec: v1alpha1.GatewaySpec{Providers: c.providers}}
		if got := SidecarEnabled(gw); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		dir := RouteCertsDir
		if !c.want {
			dir = CertsDir
		}
		if got := RouteCerts(gw).RouteCerts; got != dir {
			t.Errorf("%s: certificates in %s, want %s", name, got, dir)
		}
	}
}
