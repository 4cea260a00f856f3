// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"net/http"
	"net/url"

	"github.com/caddyserver/certmagic"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// azure takes AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of a service
// principal, and AZURE_SUBSCRIPTION_ID and AZURE_RESOURCE_GROUP of the zone.
type azure struct {
	*web

	group string
}

func newAzure(keys Keys) (certmagic.DNSProvider, error) {
	v, err := all(keys, "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP")
	if err != nil {
		return nil, err
	}
	login := clientcredentials.Config{
		ClientID: v[1], ClientSecret: v[2], Scopes: []string{"https://management.azure.com/.default"},
		TokenURL: "https://login.microsoftonline.com/" + url.PathEscape(v[0]) + "/oauth2/v2.0/token",
	}
	return ofSet(&azure{
		web:   newWeb("https://management.azure.com", bearer(login.TokenSource(context.Background()))),
		group: "/subscriptions/" + url.PathEscape(v[3]) + "/resourceGroups/" + url.PathEscape(v[4]),
	}), nil
}

// bearer signs with a token that is fetched when it is needed.
func bearer(source oauth2.TokenSource) func(*http.Request, []byte) error {
	return func(r *http.Request, _ []byte) error {
		token, err := source.Token()
		if err != nil {
			return loginError(err)
		}
		token.SetAuthHeader(r)
		return nil
	}
}

type azureSet struct {
	Properties struct {
		TTL  int `json:"TTL"`
		Text []struct {
			Value []string `json:"value"`
		} `json:"TXTRecords"`
	} `json:"properties"`
}

func (a *azure) path(t text) string {
	return a.group + "/providers/Microsoft.Network/dnsZones/" + url.PathEscape(t.zone) + "/TXT/" + url.PathEscape(t.name) +
		"?api-version=2018-05-01"
}

func (a *azure) get(ctx context.Context, t text) ([]string, error) {
	var found azureSet
	if err := a.call(ctx, http.MethodGet, a.path(t), nil, &found); err != nil && !absent(err) {
		return nil, err
	}
	var values []string
	for _, r := range found.Properties.Text {
		if len(r.Value) > 0 {
			values = append(values, r.Value[0])
		}
	}
	return values, nil
}

func (a *azure) put(ctx context.Context, t text, _, values []string) error {
	if len(values) == 0 {
		return a.call(ctx, http.MethodDelete, a.path(t), nil, nil)
	}
	var wanted azureSet
	wanted.Properties.TTL = t.seconds(60)
	for _, v := range values {
		wanted.Properties.Text = append(wanted.Properties.Text, struct {
			Value []string `json:"value"`
		}{[]string{v}})
	}
	return a.call(ctx, http.MethodPut, a.path(t), wanted, nil)
}
