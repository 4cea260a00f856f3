// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/access"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/accesslog"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/accesspolicy"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/addprefix"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/apikey"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/basicauth"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/bodylimit"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/circuitbreaker"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/compress"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/errorinterceptor"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/forwardauth"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/geoblock"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/httpcache"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/inflightlimit"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/jwt"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/ldap"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/oauth"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/ratelimit"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/redirect"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/redirectregex"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/redirectscheme"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/requestheaders"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/responseheaders"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/retry"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/rewriteregex"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/stripprefix"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/stripquery"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/useragentblock"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/waf"
)

const docs = "../../../docs/middlewares"

// documented pages and the settings that they have to tell of.
var pages = map[string]any{
	"accessLog":        accesslog.Settings{},
	"compress":         compress.Settings{},
	"errorInterceptor": errorinterceptor.Settings{},
	"inFlightLimit":    inflightlimit.Settings{},
	"apiKey":           apikey.Settings{},
	"stripPrefix":      stripprefix.Settings{},
	"jwt":              jwt.Settings{},
	"rewriteRegex":     rewriteregex.Settings{},
	"access":           access.Settings{},
	"bodyLimit":        bodylimit.Settings{},
	"circuitBreaker":   circuitbreaker.Settings{},
	"waf":              waf.Settings{},
	"geoBlock":         geoblock.Settings{},
	"httpCache":        httpcache.Settings{},
	"userAgentBlock":   useragentblock.Settings{},
	"accessPolicy":     accesspolicy.Settings{},
	"redirect":         redirect.Settings{},
	"redirectRegex":    redirectregex.Settings{},
	"stripQuery":       stripquery.Settings{},
	"addPrefix":        addprefix.Settings{},
	"basicAuth":        basicauth.Settings{},
	"forwardAuth":      forwardauth.Settings{},
	"ldap":             ldap.Settings{},
	"oauth":            oauth.Settings{},
	"retry":            retry.Settings{},
	"rateLimit":        ratelimit.Settings{},
	"redirectScheme":   redirectscheme.Settings{},
	"requestHeaders":   requestheaders.Settings{},
	"responseHeaders":  responseheaders.Settings{},
}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryTypeHasItsPage(t *testing.T) {
	t.Parallel()
	index := page(t, "README")
	for _, name := range Names() {
		if !strings.Contains(index, "`"+name+"`") && !strings.Contains(index, "["+name+"]("+name+".md)") {
			t.Errorf("the index does not name %s", name)
		}
	}
	for _, name := range built() {
		kind, _ := Lookup(name)
		if !slices.ContainsFunc(kind.Names, func(n string) bool { return pages[n] != nil }) {
			t.Errorf("%s has no page", name)
		}
	}
	for name := range pages {
		if !strings.Contains(index, "["+name+"]("+name+".md)") {
			t.Errorf("the index has no link to %s", name)
		}
	}
}

// row is a row of a table of fields.
var row = regexp.MustCompile("(?m)^\\| `([A-Za-z.\\[\\]]+)` \\|")

func TestEverySettingIsARowOfItsPage(t *testing.T) {
	t.Parallel()
	for name, settings := range pages {
		_, text, _ := strings.Cut(page(t, name), "| field | type | default | meaning |\n")
		table, _, _ := strings.Cut(text, "\n\n")
		told := map[string]bool{}
		for _, match := range row.FindAllStringSubmatch(table, -1) {
			told[match[1]] = true
		}
		known := map[string]bool{}
		settingsOf(known, "", reflect.TypeOf(settings))
		for field := range known {
			if !told[field] {
				t.Errorf("%s.md does not tell of %s", name, field)
			}
		}
		for field := range told {
			if !known[field] {
				t.Errorf("%s.md tells of %s, which does not exist", name, field)
			}
		}
	}
}

// settingsOf collects the keys of a type, as they are written in the pages.
func settingsOf(into map[string]bool, at string, t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			at = strings.TrimSuffix(at, ".") + "[]."
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		into[at+key] = true
		settingsOf(into, at+key+".", f.Type)
	}
}

// manifest is what the examples hold: a custom resource, or a file of the gateway.
type manifest struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec        config.Middleware   `json:"spec"`
	Middlewares []config.Middleware `json:"middlewares"`
}

var example = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

func TestEveryExampleIsAMiddlewareWithoutProblems(t *testing.T) { // Z2
	t.Parallel()
	for _, name := range append(slices.Sorted(maps.Keys(pages)), "README") {
		examples := example.FindAllStringSubmatch(page(t, name), -1)
		if len(examples) == 0 {
			t.Errorf("%s.md has no example", name)
		}
		for _, match := range examples {
			for _, m := range middlewaresOf(t, match[1]) {
				if problems := Check(&m); len(problems) != 0 {
					t.Errorf("%s.md: %v", name, problems)
				}
				if name != "README" && m.Type != name {
					t.Errorf("%s.md shows a %s", name, m.Type)
				}
			}
		}
	}
}

func middlewaresOf(t *testing.T, text string) []config.Middleware {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	if m.Kind == "Middleware" {
		m.Spec.Name = m.Metadata.Name
		return []config.Middleware{m.Spec}
	}
	if len(m.Middlewares) == 0 {
		t.Fatalf("no middleware in\n%s", text)
	}
	return m.Middlewares
}
