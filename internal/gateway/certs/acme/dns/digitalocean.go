// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/caddyserver/certmagic"
)

// digitalOcean takes apiToken or DO_AUTH_TOKEN.
type digitalOcean struct{ *web }

func newDigitalOcean(keys Keys) (certmagic.DNSProvider, error) {
	token, err := first(keys, apiToken, "DO_AUTH_TOKEN")
	if err != nil {
		return nil, err
	}
	return singles{&digitalOcean{newWeb("https://api.digitalocean.com/v2", header("Authorization", "Bearer "+token))}}, nil
}

func (d *digitalOcean) records(t text) string {
	return "/domains/" + url.PathEscape(t.zone) + "/records"
}

func (d *digitalOcean) add(ctx context.Context, t text) error {
	return d.call(ctx, http.MethodPost, d.records(t), map[string]any{
		"type": "TXT", "name": t.name, "data": t.value, "ttl": t.seconds(30),
	}, nil)
}

func (d *digitalOcean) remove(ctx context.Context, t text) error {
	var list struct {
		Records []struct {
			ID   int64  `json:"id"`
			Data string `json:"data"`
		} `json:"domain_records"`
	}
	if err := d.call(ctx, http.MethodGet, d.records(t)+"?type=TXT&per_page=200&name="+url.QueryEscape(t.fqdn), nil, &list); err != nil {
		return err
	}
	for _, r := range list.Records {
		if unquoted(r.Data) != t.value {
			continue
		}
		if err := d.call(ctx, http.MethodDelete, d.records(t)+"/"+strconv.FormatInt(r.ID, 10), nil, nil); err != nil && !absent(err) {
			return err
		}
	}
	return nil
}
