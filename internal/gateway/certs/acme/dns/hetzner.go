// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"net/http"
	"net/url"

	"github.com/caddyserver/certmagic"
)

// hetzner takes apiToken or HETZNER_API_TOKEN, a token of the Cloud interface.
type hetzner struct{ *web }

func newHetzner(keys Keys) (certmagic.DNSProvider, error) {
	token, err := first(keys, apiToken, "HETZNER_API_TOKEN")
	if err != nil {
		return nil, err
	}
	return singles{&hetzner{newWeb("https://api.hetzner.cloud/v1", header("Authorization", "Bearer "+token))}}, nil
}

func (h *hetzner) change(ctx context.Context, t text, action string, body map[string]any) error {
	body["records"] = []map[string]string{{"value": quoted(t.value)}}
	path := "/zones/" + url.PathEscape(t.zone) + "/rrsets/" + url.PathEscape(t.name) + "/TXT/actions/" + action
	return h.call(ctx, http.MethodPost, path, body, nil)
}

func (h *hetzner) add(ctx context.Context, t text) error {
	return h.change(ctx, t, "add_records", map[string]any{"ttl": t.seconds(60)})
}

func (h *hetzner) remove(ctx context.Context, t text) error {
	if err := h.change(ctx, t, "remove_records", map[string]any{}); err != nil && !absent(err) {
		return err
	}
	return nil
}
