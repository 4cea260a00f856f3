// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/deploy/crds"
)

// object makes a resource of a kind from the YAML of its spec.
func object(t *testing.T, kind, spec string) map[string]any {
	t.Helper()
	text := "apiVersion: gateway.jkaninda.dev/v1alpha1\nkind: " + kind + "\nmetadata: {name: x, namespace: default}\n" + "spec: " + spec
	out, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func validator(t *testing.T) *Validator {
	t.Helper()
	v, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEachRuleAcceptsAndRefuses(t *testing.T) { // O14
	t.Parallel()
	v := validator(t)
	for _, c := range []struct{ name, kind, accepted, refused, field string }{
		{"replicas are not negative", "Gateway", `{replicas: 0}`, `{replicas: -1}`, "spec.replicas"},
		{"the minimum is not above the maximum", "Gateway", `{autoScaling: {enabled: true, minReplicas: 2, maxReplicas: 2}}`, `{autoScaling: {enabled: true, minReplicas: 3, maxReplicas: 2}}`, "spec.autoScaling"},
		{"the minimum is not above the default maximum", "Gateway", `{autoScaling: {minReplicas: 10}}`, `{autoScaling: {minReplicas: 11}}`, "spec.autoScaling"},
		{"log levels are known", "Gateway", `{server: {logLevel: trace}}`, `{server: {logLevel: loud}}`, "spec.server.logLevel"},
		{"a certificate has a Secret", "Gateway", `{server: {tls: [{secretName: a}]}}`, `{server: {tls: [{}]}}`, "spec.server.tls[0].secretName"},
		{"Redis has an address", "Gateway", `{server: {redis: {addr: "r:6379"}}}`, `{server: {redis: {}}}`, "spec.server.redis.addr"},
		{"Redis has one password", "Gateway", `{server: {redis: {addr: r, passwordSecret: {name: a, key: b}}}}`, `{server: {redis: {addr: r, password: p, passwordSecret: {name: a, key: b}}}}`, "spec.server.redis"},
		{"the metrics path is a path", "Gateway", `{server: {monitoring: {metricsPath: /m}}}`, `{server: {monitoring: {metricsPath: m}}}`, "spec.server.monitoring.metricsPath"},
		{"Service types are known", "Gateway", `{service: {type: NodePort}}`, `{service: {type: ExternalName}}`, "spec.service.type"},
		{"ports are ports", "Gateway", `{service: {httpPort: 80}}`, `{service: {httpPort: 70000}}`, "spec.service.httpPort"},
		{"node ports need a type that has them", "Gateway", `{service: {type: LoadBalancer, httpNodePort: 30080}}`, `{service: {httpNodePort: 30080}}`, "spec.service"},
		{"IP families are known", "Gateway", `{service: {ipFamilies: [IPv4, IPv6], ipFamilyPolicy: PreferDualStack}}`, `{service: {ipFamilies: [IPv5]}}`, "spec.service.ipFamilies[0]"},
		{"ACME has an address", "Gateway", `{certManager: {acme: {email: a@b}}}`, `{certManager: {acme: {}}}`, "spec.certManager.acme.email"},
		{"dns-01 has provider and credentials", "Gateway", `{certManager: {acme: {email: a@b, challengeType: dns-01, dnsProvider: route53, credentialsSecret: c}}}`, `{certManager: {acme: {email: a@b, challengeType: dns-01, dnsProvider: route53}}}`, "spec.certManager.acme"},
		{"an enabled HTTP source has a URL", "Gateway", `{providers: {http: {enabled: false, interval: 5s}}}`, `{providers: {http: {enabled: true, endpoint: /x}}}`, "spec.providers.http"},
		{"durations parse", "Gateway", `{providers: {http: {interval: 1m30s}}}`, `{providers: {http: {interval: soon}}}`, "spec.providers.http.interval"},
		{"an enabled Git source has a URL", "Gateway", `{providers: {git: {enabled: true, url: "git@h:r"}}}`, `{providers: {git: {enabled: true}}}`, "spec.providers.git"},
		{"Git credentials are of a known type", "Gateway", `{providers: {git: {auth: {type: ssh, secretName: s}}}}`, `{providers: {git: {auth: {type: magic, secretName: s}}}}`, "spec.providers.git.auth.type"},
		{"a Route names a Gateway", "Route", `{gateways: [g], path: /, target: "http://b"}`, `{gateways: [], path: /, target: "http://b"}`, "spec.gateways"},
		{"a Route has a path", "Route", `{gateways: [g], path: /x, target: "http://b"}`, `{gateways: [g], target: "http://b"}`, "spec.path"},
		{"a Route has target or backends", "Route", `{gateways: [g], path: /, backends: [{endpoint: "http://b"}]}`, `{gateways: [g], path: /}`, "spec"},
		{"a Route has not both", "Route", `{gateways: [g], path: /, target: "http://b", backends: []}`, `{gateways: [g], path: /, target: "http://b", backends: [{endpoint: "http://c"}]}`, "spec"},
		{"a target is an absolute URL", "Route", `{gateways: [g], path: /, target: "h2c://b:50051"}`, `{gateways: [g], path: /, target: "b:8080"}`, "spec.target"},
		{"an endpoint holds no credentials", "Route", `{gateways: [g], path: /, backends: [{endpoint: "https://b/base"}]}`, `{gateways: [g], path: /, backends: [{endpoint: "https://u:p@b"}]}`, "spec.backends[0].endpoint"},
		{"methods are known, in any case", "Route", `{gateways: [g], path: /, target: "http://b", methods: [get, POST]}`, `{gateways: [g], path: /, target: "http://b", methods: [FETCH]}`, "spec.methods[0]"},
		{"weights are not negative", "Route", `{gateways: [g], path: /, backends: [{endpoint: "http://b", weight: 0}]}`, `{gateways: [g], path: /, backends: [{endpoint: "http://b", weight: -1}]}`, "spec.backends[0].weight"},
		{"a header match has a name", "Route", `{gateways: [g], path: /, backends: [{endpoint: "http://b", match: [{source: ip, operator: in, value: "1.2.3.4"}]}]}`, `{gateways: [g], path: /, backends: [{endpoint: "http://b", match: [{source: header, operator: equals, value: a}]}]}`, "spec.backends[0].match[0]"},
		{"match operators are known", "Route", `{gateways: [g], path: /, backends: [{endpoint: "http://b", match: [{source: header, name: h, operator: regex, value: a}]}]}`, `{gateways: [g], path: /, backends: [{endpoint: "http://b", match: [{source: header, name: h, operator: like, value: a}]}]}`, "spec.backends[0].match[0].operator"},
		{"an exclusive backend has a match", "Route", `{gateways: [g], path: /, backends: [{endpoint: "http://b", exclusive: false}]}`, `{gateways: [g], path: /, backends: [{endpoint: "http://b", exclusive: true}]}`, "spec.backends[0]"},
		{"a health check has a path", "Route", `{gateways: [g], path: /, target: "http://b", healthCheck: {path: /h, interval: 10s}}`, `{gateways: [g], path: /, target: "http://b", healthCheck: {interval: 10s}}`, "spec.healthCheck.path"},
		{"a health check has an interval", "Route", `{gateways: [g], path: /, target: "http://b", healthCheck: {path: /h}}`, `{gateways: [g], path: /, target: "http://b", healthCheck: {path: /h, interval: 0s}}`, "spec.healthCheck.interval"},
		{"healthy statuses are statuses", "Route", `{gateways: [g], path: /, target: "http://b", healthCheck: {path: /h, healthyStatuses: [204]}}`, `{gateways: [g], path: /, target: "http://b", healthCheck: {path: /h, healthyStatuses: [42]}}`, "spec.healthCheck.healthyStatuses[0]"},
		{"maintenance has a final status", "Route", `{gateways: [g], path: /, target: "http://b", maintenance: {enabled: true, status: 200}}`, `{gateways: [g], path: /, target: "http://b", maintenance: {enabled: true, status: 99}}`, "spec.maintenance.status"},
		{"middleware types are known, aliases too", "Middleware", `{type: jwtAuth}`, `{type: teapot}`, "spec.type"},
		{"middleware paths are not empty", "Middleware", `{type: basic, paths: [/a]}`, `{type: basic, paths: [""]}`, "spec.paths[0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			good, bad := object(t, c.kind, c.accepted), object(t, c.kind, c.refused)
			v.Default(good)
			v.Default(bad)
			if problems := v.Validate(good); len(problems) != 0 {
				t.Fatalf("refused: %v", problems)
			}
			problems := v.Validate(bad)
			if len(problems) == 0 || problems[0].Field != c.field {
				t.Fatalf("want a problem of %s, got %v", c.field, problems)
			}
		})
	}
}

func TestTheSmallestGatewayIsValid(t *testing.T) {
	t.Parallel()
	v := validator(t)
	gateway := object(t, "Gateway", "{}")
	v.Default(gateway)
	if problems := v.Validate(gateway); len(problems) != 0 {
		t.Fatalf("refused: %v", problems)
	}
	spec := gateway["spec"].(map[string]any)
	if spec["image"] != "jkaninda/goma-gateway:latest" || spec["replicas"] != int64(1) {
		t.Fatalf("defaults are %v", spec)
	}
}

func TestEveryExampleIsAcceptedStrictly(t *testing.T) { // Z2
	t.Parallel()
	v := validator(t)
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatalf("found %d examples, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
				manifest, err := Decode(doc)
				if err != nil {
					t.Fatal(err)
				}
				v.Default(manifest)
				if problems := v.Validate(manifest); len(problems) != 0 {
					t.Errorf("%v is refused: %v", manifest["kind"], problems)
				}
				if unknown := v.Unknown(manifest); len(unknown) != 0 {
					t.Errorf("%v has unknown fields %v", manifest["kind"], unknown)
				}
			}
		})
	}
}

func TestAMisspeltFieldIsUnknown(t *testing.T) { // C6
	t.Parallel()
	got := validator(t).Unknown(object(t, "Route", `{gateways: [g], path: /, taget: "http://b"}`))
	if strings.Join(got, ",") != "spec.taget" {
		t.Fatalf("got %v", got)
	}
}

func TestEachDefinitionFitsAPlainApply(t *testing.T) { // Z1
	t.Parallel()
	const limit = 256 << 10 // of all annotations of an object
	files, err := fs.Glob(crds.Files, "*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, name := range files {
		text, err := crds.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) >= limit {
			t.Errorf("%s has %d bytes; kubectl apply keeps it in an annotation, and those end at %d", name, len(text), limit)
		}
	}
}
