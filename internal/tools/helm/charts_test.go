// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	helmrelease "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	root     = filepath.Join("..", "..", "..")
	operator = filepath.Join(root, "deploy", "chart")
	crds     = filepath.Join(root, "deploy", "chart-crds")
)

func TestGeneratedFilesAreFresh(t *testing.T) { // Z1
	t.Parallel()
	files, err := generated(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join(root, "deploy", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("deploy/%s is not what deploy/crds and deploy/chart give: run make generate", name)
		}
	}
}

func TestHelmFindsNothingWrongWithTheCharts(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{operator, crds} {
		result := lint.RunAll(folder, nil, namespace)
		for _, m := range result.Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %s", folder, m)
			}
		}
	}
}

// Each testdata/NAME.values.yaml is a choice of a user, NAME.golden.yaml what is installed for it.
func TestObjectsOfAChoiceOfValues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.values.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("choices %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			manifests, err := render(operator, release{Name: "goma", Namespace: "platform", Values: values(t, file)})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objects(t, manifests) {
				strict(t, o)
			}
			golden(t, strings.TrimSuffix(file, ".values.yaml")+".golden.yaml", documents("", manifests))
		})
	}
}

func golden(t *testing.T, file string, have []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, have, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s differs; after go test -update read the difference. Now:\n%s", file, have)
	}
}

func values(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := yaml.UnmarshalStrict(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func objects(t *testing.T, manifests []string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, m := range manifests {
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(m), &o.Object); err != nil {
			t.Fatalf("%v in\n%s", err, m)
		}
		out = append(out, o)
	}
	return out
}

// strict reads an object as the API server would with strict field validation.
func strict(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	if strings.HasPrefix(o.GetAPIVersion(), "monitoring.coreos.com/") {
		return // not of Kubernetes
	}
	text, err := json.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)
	if _, _, err := codecs.UniversalDeserializer().Decode(text, nil, nil); err != nil && !runtime.IsNotRegisteredError(err) {
		t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
	} else if err != nil {
		t.Errorf("%s %s: no such kind", o.GetKind(), o.GetName())
	}
}

func TestWrongValuesAreRefusedWithAReason(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"replica: 3":                      "additional properties 'replica' not allowed",
		"replicas: two":                   "at '/replicas': got string, want integer",
		"replicas: -1":                    "at '/replicas': minimum",
		"image: {tag: 'a b'}":             "at '/image/tag'",
		"image: {digest: 'sha256:12'}":    "at '/image/digest'",
		"image: {pullPolicy: Sometimes}":  "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
		"logLevel: loud":                  "at '/logLevel': value must be one of",
		"watchNamespaces: [Team_A]":       "at '/watchNamespaces/0'",
		"watchNamespaces: team-a":         "at '/watchNamespaces': got string, want array",
		"rbac: {delegation: free}":        "at '/rbac/delegation': value must be one of 'bounded', 'held', 'unbounded'",
		"rbac: {delegation: held}":        "name the namespaces in watchNamespaces",
		"serviceAccount: {create: false}": "serviceAccount.name: name the account",
		"fullnameOverride: a-name-that-is-too-long-for-a-service": "at '/fullnameOverride'",
		"extraArgs: [debug]": "at '/extraArgs/0'",
		"metrics: {enabled: false, serviceMonitor: {enabled: true}}": "metrics.serviceMonitor.enabled needs metrics.enabled",
		"gatewayMonitor: {interval: often}":                          "at '/gatewayMonitor/interval'",
		"podDisruptionBudget: {maxUnavailable: 0}":                   "/podDisruptionBudget/maxUnavailable'",
	} {
		var v map[string]any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		_, err := render(operator, release{Name: "goma", Namespace: "platform", Values: v})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %q", text, err, want)
		}
	}
	_, err := render(operator, release{Name: "goma", Namespace: "platform", Kubernetes: "1.29.3"})
	if err == nil || !strings.Contains(err.Error(), "needs the ValidatingAdmissionPolicy of Kubernetes 1.30, and this is v1.29.3") {
		t.Errorf("on 1.29: %v", err)
	}
	_, err = render(operator, release{Name: "a-release-with-a-long-name", Namespace: "platform"})
	if err == nil || !strings.Contains(err.Error(), "set fullnameOverride") {
		t.Errorf("a long name: %v", err)
	}
}

// What a user may write is in the schema, and what the schema has is in values.yaml, with a comment there.
func TestTheSchemaIsThatOfTheValues(t *testing.T) {
	t.Parallel()
	schema := values(t, filepath.Join(operator, "values.schema.json"))
	compare(t, "", values(t, filepath.Join(operator, "values.yaml")), schema)
}

func compare(t *testing.T, path string, have map[string]any, schema map[string]any) {
	t.Helper()
	properties, _ := schema["properties"].(map[string]any)
	if properties == nil {
		return // free
	}
	if schema["additionalProperties"] != false {
		t.Errorf("%s: the schema lets unknown names through", path)
	}
	for name, s := range properties {
		value, ok := have[name]
		if !ok && path+name != "global" && path+name != "resources.claims" {
			t.Errorf("values.yaml lacks %s%s", path, name)
		}
		if inner, is := value.(map[string]any); is {
			compare(t, path+name+".", inner, s.(map[string]any))
		}
	}
	for name := range have {
		if _, ok := properties[name]; !ok {
			t.Errorf("the schema lacks %s%s", path, name)
		}
	}
}

var clusterScoped = []string{
	"ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "Namespace", "CustomResourceDefinition",
}

// O6: a team without rights in the cluster can install it for its own namespaces.
func TestAnInstallationForNamespacesNeedsNoRightsInTheCluster(t *testing.T) {
	t.Parallel()
	manifests, err := render(operator, release{Name: "goma", Namespace: "team-a", Values: values(t, "testdata/tenant.values.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects(t, manifests) {
		if slices.Contains(clusterScoped, o.GetKind()) {
			t.Errorf("%s %s is an object of the cluster", o.GetKind(), o.GetName())
		}
		text, err := json.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"escalate"`) || strings.Contains(string(text), `"bind"`) {
			t.Errorf("%s %s can widen rights", o.GetKind(), o.GetName())
		}
	}
}

// O6: no choice of values grants all of anything, and none but "held" lists Secrets.
func TestNoRoleHasWildcardsOrListsSecrets(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		v := values(t, file)
		manifests, err := render(operator, release{Name: "goma", Namespace: "platform", Values: v})
		if err != nil {
			t.Fatal(err)
		}
		rbac, _ := v["rbac"].(map[string]any)
		held := rbac["delegation"] == "held"
		for _, o := range objects(t, manifests) {
			rules, _, _ := unstructured.NestedSlice(o.Object, "rules")
			for _, r := range rules {
				rule, _ := json.Marshal(r)
				if strings.Contains(string(rule), `"*"`) {
					t.Errorf("%s: %s %s has a wildcard: %s", file, o.GetKind(), o.GetName(), rule)
				}
				lists := strings.Contains(string(rule), `"secrets"`) && strings.Contains(string(rule), `"list"`)
				if lists && (!held || o.GetKind() != "Role") {
					t.Errorf("%s: %s %s lists Secrets: %s", file, o.GetKind(), o.GetName(), rule)
				}
			}
		}
	}
}

// The selector of a Deployment cannot be changed, and the policies name the account of the operator.
func TestWhatAnUpgradeMustNotChange(t *testing.T) { // O12
	t.Parallel()
	for _, r := range []release{{Name: releaseName, Namespace: namespace}, {Name: "other", Namespace: "elsewhere"}} {
		manifests, err := render(operator, r)
		if err != nil {
			t.Fatal(err)
		}
		account, policies := "", 0
		for _, o := range objects(t, manifests) {
			switch o.GetKind() {
			case "Deployment":
				selector, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector", "matchLabels")
				if len(selector) != 2 || selector["app.kubernetes.io/name"] != "goma-operator" || selector["control-plane"] != "controller-manager" {
					t.Errorf("selector %v", selector)
				}
				account, _, _ = unstructured.NestedString(o.Object, "spec", "template", "spec", "serviceAccountName")
			case "ValidatingAdmissionPolicy":
				policies++
				text, _ := json.Marshal(o.Object)
				if !strings.Contains(string(text), "'system:serviceaccount:"+r.Namespace+":"+account+"'") {
					t.Errorf("policy %s does not name %s of %s", o.GetName(), account, r.Namespace)
				}
			}
		}
		if account == "" || policies != 2 {
			t.Errorf("account %q, %d policies", account, policies)
		}
	}
}

func TestDefinitionsStayWhenTheirReleaseGoes(t *testing.T) { // Z1
	t.Parallel()
	manifests, err := render(crds, release{Name: "goma-crds", Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := definitions(root)
	if err != nil {
		t.Fatal(err)
	}
	all := objects(t, manifests)
	if len(all) != 3 {
		t.Fatalf("%d definitions", len(all))
	}
	for i, o := range all {
		annotations := o.GetAnnotations()
		if annotations["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s goes with the release", o.GetName())
		}
		delete(annotations, "helm.sh/resource-policy")
		o.SetAnnotations(annotations)
		want := objects(t, []string{wanted[i].text})[0]
		have, _ := json.Marshal(o.Object)
		if text, _ := json.Marshal(want.Object); !bytes.Equal(have, text) {
			t.Errorf("%s is not that of deploy/crds", o.GetName())
		}
	}
}

// Helm keeps a release in one Secret: its charts and manifests, compressed.
func TestAReleaseFitsItsSecret(t *testing.T) { // Z1
	t.Parallel()
	for _, folder := range []string{operator, crds} {
		chart, err := loader.Load(folder)
		if err != nil {
			t.Fatal(err)
		}
		manifests, err := render(folder, release{Name: releaseName, Namespace: namespace})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(helmrelease.Release{Name: releaseName, Chart: chart, Manifest: string(documents("", manifests))})
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		// Once by Helm, once as data of a Secret.
		size := base64.StdEncoding.EncodedLen(base64.StdEncoding.EncodedLen(packed.Len()))
		t.Logf("%s: %d bytes", folder, size)
		if size > 512<<10 {
			t.Errorf("%s: a release takes %d bytes of 1 MiB", folder, size)
		}
	}
}

func TestAlertsAndDashboardAreInTheChartAsTheyAre(t *testing.T) {
	t.Parallel()
	manifests, err := render(operator, release{Name: "goma", Namespace: "platform", Values: values(t, "testdata/everything.values.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, o := range objects(t, manifests) {
		switch o.GetKind() {
		case "PrometheusRule":
			found++
			want, _ := json.Marshal(values(t, filepath.Join(root, "deploy", "observability", "alerts.yaml")))
			if have, _ := json.Marshal(o.Object["spec"]); !bytes.Equal(have, want) {
				t.Errorf("the rules are %s", have)
			}
		case "ConfigMap":
			found++
			want, err := os.ReadFile(filepath.Join(root, "deploy", "observability", "dashboard.json"))
			have, _, _ := unstructured.NestedString(o.Object, "data", "goma-gateways.json")
			if err != nil || strings.TrimSpace(have) != strings.TrimSpace(string(want)) {
				t.Errorf("the dashboard differs, %v", err)
			}
		}
	}
	if found != 2 {
		t.Errorf("found %d of 2", found)
	}
}

// The choices that the documentation shows are taken.
func TestValuesOfTheDocsAreTaken(t *testing.T) { // Z2
	t.Parallel()
	tried := 0
	for _, page := range []string{"install.md", "observability.md"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, rest := range strings.Split(string(text), "```yaml\n# values of the chart goma-operator\n")[1:] {
			block, _, _ := strings.Cut(rest, "```")
			var v map[string]any
			if err := yaml.UnmarshalStrict([]byte(block), &v); err != nil {
				t.Fatal(err)
			}
			tried++
			if _, err := render(operator, release{Name: "goma", Namespace: "platform", Values: v}); err != nil {
				t.Errorf("%s: %v in\n%s", page, err, block)
			}
		}
	}
	if tried < 4 {
		t.Errorf("found only %d", tried)
	}
}

func TestNotesSayWhatIsNext(t *testing.T) {
	t.Parallel()
	text, err := notes(operator, release{Name: "goma", Namespace: "platform", Values: map[string]any{
		"watchNamespaces": []any{"team-a", "team-b"}, "rbac": map[string]any{"delegation": "unbounded"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"kubectl -n platform rollout status deployment/goma-goma-operator-controller-manager",
		"team-a, team-b, and has no right anywhere else", "with the chart goma-crds", "give it more rights", "namespace: team-a",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the notes do not say %q:\n%s", want, text)
		}
	}
}

func TestAPackedChartPinsItsVersion(t *testing.T) { // Z5
	t.Parallel()
	out := t.TempDir()
	if err := pack(root, "v1.2.3", out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, "goma-crds-1.2.3.tgz")); err != nil {
		t.Error(err)
	}
	folder := filepath.Join(out, "goma-operator-1.2.3.tgz")
	manifests, err := render(folder, release{Name: releaseName, Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	text := string(documents("", manifests))
	for _, image := range []string{"image: jkaninda/goma-operator:v1.2.3\n",
		"--default-gateway-image=jkaninda/goma-gateway:v1.2.3\n", "--default-provider-image=jkaninda/goma-k8s-provider:v1.2.3\n"} {
		if !strings.Contains(text, image) {
			t.Errorf("a chart of v1.2.3 does not install %s", image)
		}
	}
	if strings.Contains(text, ":latest") {
		t.Error("a chart of a version names a floating tag")
	}
	if err := pack(root, "next", t.TempDir()); err == nil {
		t.Error("a version that is none is taken")
	}
}
