// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// ApplyEnvironment puts the variables of the process into the settings. A value
// that cannot be read is a problem, and the file's stays.
func (f *File) ApplyEnvironment(env Expander) []Problem {
	e := &environment{env: env, file: f}
	g := &f.Gateway
	e.text("GOMA_LOG_LEVEL", &g.Log.Level)
	e.fallback("GOMA_LOG_FILE", &g.Log.FilePath)
	e.fallback("GOMA_LOG_FORMAT", &g.Log.Format)
	e.number("GOMA_TIMEOUT_READ", &g.Timeouts.Read)
	e.number("GOMA_TIMEOUT_WRITE", &g.Timeouts.Write)
	e.number("GOMA_TIMEOUT_IDLE", &g.Timeouts.Idle)
	e.text("GOMA_ENTRYPOINT_WEB_ADDRESS", &g.EntryPoints.Web.Address)
	e.text("GOMA_ENTRYPOINT_WEB_SECURE_ADDRESS", &g.EntryPoints.WebSecure.Address)
	e.text("GOMA_ENTRYPOINT_ADMIN_ADDRESS", &g.EntryPoints.Admin.Address)
	e.truth("GOMA_ENABLE_METRICS", func(b bool) { g.Monitoring.EnableMetrics = b })
	e.truth("GOMA_ENABLE_READINESS", func(b bool) { g.Monitoring.EnableReadiness = &b })
	e.truth("GOMA_ENABLE_LIVENESS", func(b bool) { g.Monitoring.EnableLiveness = &b })
	e.text("GOMA_EXTRA_CONFIG_DIR", &g.ExtraConfig.Directory)
	e.truth("GOMA_EXTRA_CONFIG_WATCH", func(b bool) { g.ExtraConfig.Watch = b })
	e.redis(g)
	e.fileProvider(g)
	e.httpHeaders(g)
	e.secret("GOMA_RELOAD_TOKEN", &g.Reload.Token)
	e.analytics(g)
	e.text("GOMA_GEOIP_DB", &g.GeoIP.Database)
	return e.problems
}

// environment reads variables; an empty one counts as not set.
type environment struct {
	env      Expander
	file     *File
	problems []Problem
}

func (e *environment) get(name string) string {
	if e.env == nil {
		return ""
	}
	value, _ := e.env(name)
	return strings.TrimSpace(value)
}

func (e *environment) text(name string, to *string) {
	if value := e.get(name); value != "" {
		*to = value
	}
}

// fallback sets what the file leaves empty.
func (e *environment) fallback(name string, to *string) {
	if *to == "" {
		e.text(name, to)
	}
}

func (e *environment) secret(name string, to *Secret) {
	if e.env == nil {
		return
	}
	if value, _ := e.env(name); value != "" {
		*to = Secret(value) // as it is, with the space around it
	}
}

func (e *environment) number(name string, to *int) {
	value := e.get(name)
	if value == "" {
		return
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		e.wrong(name, value, "a whole number that is not negative")
		return
	}
	*to = n
}

func (e *environment) truth(name string, set func(bool)) {
	value := e.get(name)
	if value == "" {
		return
	}
	b, err := strconv.ParseBool(strings.ToLower(value))
	if err != nil {
		e.wrong(name, value, "true or false")
		return
	}
	set(b)
}

func (e *environment) wrong(name, value, want string) {
	e.problems = append(e.problems, Problem{
		Object: ObjectRef{Kind: "Gateway"}, Field: name, Reason: ReasonInvalid, Severity: SeverityWarning,
		Message: fmt.Sprintf("the variable holds %q, which is not %s; the value of the file stays", value, want),
	})
}

func (e *environment) redis(g *Gateway) {
	if g.Redis == nil {
		if e.get("GOMA_REDIS_ADDR") == "" {
			return
		}
		g.Redis = &Redis{}
	}
	e.text("GOMA_REDIS_ADDR", &g.Redis.Addr)
	e.secret("GOMA_REDIS_PASSWORD", &g.Redis.Password)
	e.number("GOMA_REDIS_DB", &g.Redis.DB)
}

// fileProvider is read only where the file has none.
func (e *environment) fileProvider(g *Gateway) {
	if g.Providers.File != nil || e.get("GOMA_FILE_PROVIDER_ENABLED") == "" {
		return
	}
	p := &FileProvider{Watch: true}
	e.truth("GOMA_FILE_PROVIDER_ENABLED", func(b bool) { p.Enabled = b })
	e.text("GOMA_FILE_PROVIDER_DIRECTORY", &p.Directory)
	e.truth("GOMA_FILE_PROVIDER_WATCH", func(b bool) { p.Watch = b })
	g.Providers.File = p
}

// httpHeaders adds headers that must not stand in a file: an object of JSON. They
// may refer to variables, each once, as those of the file do.
func (e *environment) httpHeaders(g *Gateway) {
	p := g.Providers.HTTP
	if p == nil || e.get("GOMA_HTTP_HEADERS") == "" {
		return
	}
	var headers map[string]string
	if json.Unmarshal([]byte(e.get("GOMA_HTTP_HEADERS")), &headers) != nil {
		e.problems = append(e.problems, Problem{ // the value is a secret
			Object: ObjectRef{Kind: "Gateway"}, Field: "GOMA_HTTP_HEADERS", Reason: ReasonInvalid, Severity: SeverityWarning,
			Message: `the variable is not an object of JSON such as {"X-Api-Key": "..."}; its headers are not sent`,
		})
		return
	}
	merged := make(map[string]Secret, len(p.Headers)+len(headers))
	maps.Copy(merged, p.Headers)
	for name, value := range headers {
		if missing := unset(value, e.env); missing != "" {
			e.problems = append(e.problems, Problem{
				Object: ObjectRef{Kind: "Gateway"}, Field: "gateway.providers.http.headers." + name, Reason: ReasonSecretNotFound,
				Severity: SeverityWarning,
				Message:  fmt.Sprintf("the variable %s is not set, so the header is not sent; set it, or write the value in a Secret that sets it", missing),
			})
			continue
		}
		e.credential("gateway.providers.http.headers."+name, value)
		merged[name] = Secret(Expand(value, e.env))
	}
	p.Headers = merged
}

// credential notes the variables that a credential refers to.
func (e *environment) credential(field, value string) {
	if e.file.secrets == nil {
		e.file.secrets = map[string]string{}
	}
	for _, m := range variable.FindAllStringSubmatch(value, -1) {
		e.file.secrets[m[1]] = field
	}
}

func (e *environment) analytics(g *Gateway) {
	a := &g.Analytics
	e.truth("GOMA_ANALYTICS_ENABLED", func(b bool) { a.Enabled = b })
	e.text("GOMA_ANALYTICS_STREAM", &a.Stream)
	e.text("GOMA_GATEWAY_ID", &a.GatewayID)
	if value := e.get("GOMA_ANALYTICS_SAMPLE"); value != "" {
		if sample, err := strconv.ParseFloat(value, 64); err == nil {
			a.Sample = &sample
		} else {
			e.wrong("GOMA_ANALYTICS_SAMPLE", value, "a number")
		}
	}
	if e.get("GOMA_ANALYTICS_MAXLEN") != "" {
		var n int
		if a.MaxLen != nil {
			n = *a.MaxLen
		}
		e.number("GOMA_ANALYTICS_MAXLEN", &n)
		a.MaxLen = &n
	}
}
