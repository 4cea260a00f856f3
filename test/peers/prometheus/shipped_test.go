// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package prometheus

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/deploy/observability"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/tools/promnames"
)

// promtool runs it in a folder with the alerts.
func promtool(t *testing.T, folder string, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("there is no promtool; install the Debian package prometheus")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtoolTakesTheAlerts(t *testing.T) {
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, "alerts.yaml"), observability.Alerts, 0o600))
	promtool(t, folder, "check", "rules", "--lint-fatal", "alerts.yaml")
	tests, err := os.ReadFile("testdata/alerts_test.yaml")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "alerts_test.yaml"), tests, 0o600))
	promtool(t, folder, "test", "rules", "alerts_test.yaml")
	for line := range strings.Lines(string(observability.Alerts)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "- alert: "); ok && !strings.Contains(string(tests), `ALERTS{alertname="`+strings.TrimSpace(name)+`"`) {
			t.Errorf("testdata/alerts_test.yaml does not try %s", name)
		}
	}
}

// Each expression of the dashboard becomes a rule, which promtool can check.
func TestPromtoolTakesTheDashboard(t *testing.T) {
	exprs, err := promnames.Dashboard(observability.Dashboard)
	must(t, err)
	rules := "groups:\n  - name: dashboard\n    rules:\n"
	for i, e := range exprs {
		rules += fmt.Sprintf("      - record: panel:%d\n        expr: %q\n", i, e)
	}
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, "dashboard.yaml"), []byte(rules), 0o600))
	promtool(t, folder, "check", "rules", "dashboard.yaml")
}

func TestAlertsAndDashboardAskForMetricsThatTheGatewayHas(t *testing.T) {
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "routes: [{name: broken, path: /broken}]\n") // and so there is a problem
	}))
	t.Cleanup(source.Close)
	certificate := selfSigned(t)
	at := serve(t, func(g *config.Gateway) {
		g.TLS = &config.TLS{Certificates: []config.Certificate{certificate}}
		g.Providers.HTTP = &config.HTTPProvider{Enabled: true, Endpoint: source.URL}
	})
	get(t, "http://"+at.Web+"/shop/x")
	names, err := promnames.Shipped()
	must(t, err)
	deadline := time.Now().Add(patience)
	for {
		missing := promnames.Missing(names, promnames.Gateway+" process_ go_", get(t, "http://"+at.Admin+"/metrics"))
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway has no %v", missing)
		}
		time.Sleep(50 * time.Millisecond) // until the source and the health checks have answered
	}
}

func selfSigned(t *testing.T) config.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.example.com"}, DNSNames: []string{"shop.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	folder := t.TempDir()
	c := config.Certificate{Cert: filepath.Join(folder, "tls.crt"), Key: config.PrivateKey(filepath.Join(folder, "tls.key"))}
	must(t, os.WriteFile(c.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(filepath.Join(folder, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return c
}
