// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"net/http"
	"net/url"

	"github.com/caddyserver/certmagic"
)

// gandi takes apiToken or GANDI_PERSONAL_ACCESS_TOKEN.
type gandi struct{ *web }

func newGandi(keys Keys) (certmagic.DNSProvider, error) {
	token, err := first(keys, apiToken, "GANDI_PERSONAL_ACCESS_TOKEN")
	if err != nil {
		return nil, err
	}
	return ofSet(&gandi{newWeb("https://api.gandi.net/v5/livedns", header("Authorization", "Bearer "+token))}), nil
}

func (g *gandi) path(t text) string {
	return "/domains/" + url.PathEscape(t.zone) + "/records/" + url.PathEscape(t.name) + "/TXT"
}

func (g *gandi) get(ctx context.Context, t text) ([]string, error) {
	var found struct {
		Values []string `json:"rrset_values"`
	}
	if err := g.call(ctx, http.MethodGet, g.path(t), nil, &found); err != nil && !absent(err) {
		return nil, err
	}
	for i, v := range found.Values {
		found.Values[i] = unquoted(v)
	}
	return found.Values, nil
}

func (g *gandi) put(ctx context.Context, t text, _, values []string) error {
	if len(values) == 0 {
		return g.call(ctx, http.MethodDelete, g.path(t), nil, nil)
	}
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = quoted(v)
	}
	return g.call(ctx, http.MethodPut, g.path(t), map[string]any{"rrset_values": list, "rrset_ttl": t.seconds(300)}, nil)
}
