// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/caddyserver/certmagic"
)

// cloudflare takes apiToken, CF_API_TOKEN or CLOUDFLARE_API_TOKEN, which may read zones
// and edit DNS.
type cloudflare struct{ *web }

func newCloudflare(keys Keys) (certmagic.DNSProvider, error) {
	token, err := first(keys, apiToken, "CF_API_TOKEN", "CLOUDFLARE_API_TOKEN")
	if err != nil {
		return nil, err
	}
	return singles{&cloudflare{newWeb("https://api.cloudflare.com/client/v4", header("Authorization", "Bearer "+token))}}, nil
}

type cloudflareList struct {
	Result []struct {
		ID      string `json:"id"`
		Content string `json:"content"`
	} `json:"result"`
}

var errNoZone = errors.New("the zone is not one of this account's, or the credentials may not see it")

func (c *cloudflare) zone(ctx context.Context, name string) (string, error) {
	var list cloudflareList
	if err := c.call(ctx, http.MethodGet, "/zones?name="+url.QueryEscape(name), nil, &list); err != nil {
		return "", err
	}
	if len(list.Result) == 0 {
		return "", errNoZone
	}
	return "/zones/" + url.PathEscape(list.Result[0].ID) + "/dns_records", nil
}

func (c *cloudflare) add(ctx context.Context, t text) error {
	records, err := c.zone(ctx, t.zone)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, records, map[string]any{
		"type": "TXT", "name": t.fqdn, "content": quoted(t.value), "ttl": t.seconds(60),
	}, nil)
}

func (c *cloudflare) remove(ctx context.Context, t text) error {
	records, err := c.zone(ctx, t.zone)
	if err != nil {
		return err
	}
	var list cloudflareList
	if err := c.call(ctx, http.MethodGet, records+"?type=TXT&per_page=100&name="+url.QueryEscape(t.fqdn), nil, &list); err != nil {
		return err
	}
	for _, r := range list.Result {
		if unquoted(r.Content) != t.value {
			continue
		}
		if err := c.call(ctx, http.MethodDelete, records+"/"+url.PathEscape(r.ID), nil, nil); err != nil && !absent(err) {
			return err
		}
	}
	return nil
}
