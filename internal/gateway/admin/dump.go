// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

const redacted = "***"

// config answers with the live configuration.
func (e *Endpoints) config(w http.ResponseWriter, r *http.Request) {
	generation := e.o.Generation()
	shown, _ := dump(e.o.Config()).(map[string]any)
	data, err := json.Marshal(shown)
	if err != nil {
		reply.Error(w, r, http.StatusInternalServerError, "")
		return
	}
	// The checksum is that of what is shown, so it tells nothing of secrets. Replicas
	// with the same one serve the same, but for those.
	sum := sha256.Sum256(data)
	shown["generation"], shown["checksum"] = generation, "sha256:"+hex.EncodeToString(sum[:])
	writeJSON(w, r, http.StatusOK, shown)
}

// dump gives a configuration without anything that should not be seen. Types that
// know they are secret hide themselves; of the rules of middlewares, which are
// free text to us, only numbers and booleans are shown.
func dump(c *config.Config) any {
	if c == nil {
		return map[string]any{}
	}
	settings := config.Gateway{}
	if c.Gateway != nil {
		settings = *c.Gateway
		settings.Routes = []config.Route{}
	}
	type middleware struct {
		Name  string   `json:"name"`
		Type  string   `json:"type"`
		Paths []string `json:"paths,omitempty"`
		Rule  any      `json:"rule,omitempty"`
	}
	middlewares := []middleware{}
	for _, m := range c.Middlewares {
		middlewares = append(middlewares, middleware{m.Name, m.Type, m.Paths, hideStrings(generic(m.Rule))})
	}
	return hideUserinfo(generic(map[string]any{
		"gateway": settings, "certManager": c.CertManager, "routes": c.Routes, "middlewares": middlewares,
	}))
}

// generic gives v as maps, lists and scalars.
func generic(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	if json.Unmarshal(data, &out) != nil {
		return nil
	}
	return out
}

func hideStrings(v any) any {
	return mapStrings(v, func(string) string { return redacted })
}

// hideUserinfo hides the password of any URL.
func hideUserinfo(v any) any {
	return mapStrings(v, func(s string) string {
		if !strings.Contains(s, "://") || !strings.Contains(s, "@") {
			return s
		}
		u, err := url.Parse(s)
		if err != nil {
			return redacted
		}
		if u.User == nil {
			return s
		}
		u.User = url.User(redacted)
		return u.String()
	})
}

// mapStrings changes every string value; keys stay.
func mapStrings(v any, change func(string) string) any {
	switch v := v.(type) {
	case string:
		return change(v)
	case []any:
		for i := range v {
			v[i] = mapStrings(v[i], change)
		}
		return v
	case map[string]any:
		for k := range v {
			v[k] = mapStrings(v[k], change)
		}
		return v
	}
	return v
}
