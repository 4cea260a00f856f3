// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/caddyserver/certmagic"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"
)

// google takes GCE_SERVICE_ACCOUNT, the JSON text of the key of a service account, and
// GCE_PROJECT where the zone is in another project than the account.
type google struct {
	*web

	project string
}

func newGoogle(keys Keys) (certmagic.DNSProvider, error) {
	account, err := first(keys, "GCE_SERVICE_ACCOUNT", apiToken)
	if err != nil {
		return nil, err
	}
	var key struct {
		Project string `json:"project_id"`
		ID      string `json:"private_key_id"`
		Key     string `json:"private_key"`
		Email   string `json:"client_email"`
		Token   string `json:"token_uri"`
	}
	if json.Unmarshal([]byte(account), &key) != nil || key.Email == "" || key.Key == "" {
		return nil, errors.New("GCE_SERVICE_ACCOUNT is not the JSON text of the key of a service account")
	}
	if project := keys("GCE_PROJECT"); project != "" {
		key.Project = project
	}
	if key.Token == "" {
		key.Token = "https://oauth2.googleapis.com/token"
	}
	login := jwt.Config{
		Email: key.Email, PrivateKey: []byte(key.Key), PrivateKeyID: key.ID, TokenURL: key.Token,
		Scopes: []string{"https://www.googleapis.com/auth/ndev.clouddns.readwrite"},
	}
	return ofSet(&google{
		web:     newWeb("https://dns.googleapis.com/dns/v1", bearer(login.TokenSource(context.Background()))),
		project: "/projects/" + url.PathEscape(key.Project) + "/managedZones",
	}), nil
}

// loginError keeps the answer of a login out of a message: it may repeat what was sent.
func loginError(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		return errors.New("the credentials are refused: " + refused.Response.Status + " " + refused.ErrorCode)
	}
	return errors.New("the login did not succeed")
}

func (g *google) zone(ctx context.Context, t text) (string, error) {
	var list struct {
		Zones []struct {
			Name       string `json:"name"`
			Visibility string `json:"visibility"`
		} `json:"managedZones"`
	}
	if err := g.call(ctx, http.MethodGet, g.project+"?dnsName="+url.QueryEscape(t.zone+"."), nil, &list); err != nil {
		return "", err
	}
	for _, z := range list.Zones {
		if z.Visibility != "private" {
			return g.project + "/" + url.PathEscape(z.Name), nil
		}
	}
	return "", errNoZone
}

type googleSet struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	TTL    int      `json:"ttl"`
	Values []string `json:"rrdatas"`
}

func (g *google) find(ctx context.Context, t text) (zone string, sets []googleSet, err error) {
	if zone, err = g.zone(ctx, t); err != nil {
		return "", nil, err
	}
	var list struct {
		Sets []googleSet `json:"rrsets"`
	}
	err = g.call(ctx, http.MethodGet, zone+"/rrsets?type=TXT&name="+url.QueryEscape(t.fqdn+"."), nil, &list)
	return zone, list.Sets, err
}

func (g *google) get(ctx context.Context, t text) ([]string, error) {
	_, sets, err := g.find(ctx, t)
	if err != nil || len(sets) == 0 {
		return nil, err
	}
	values := make([]string, len(sets[0].Values))
	for i, v := range sets[0].Values {
		values[i] = unquoted(v)
	}
	return values, nil
}

func (g *google) put(ctx context.Context, t text, _, values []string) error {
	zone, old, err := g.find(ctx, t)
	if err != nil {
		return err
	}
	change := map[string][]googleSet{}
	if len(old) > 0 {
		change["deletions"] = old
	}
	if len(values) > 0 {
		next := googleSet{Name: t.fqdn + ".", Type: "TXT", TTL: t.seconds(60)}
		for _, v := range values {
			next.Values = append(next.Values, quoted(v))
		}
		change["additions"] = []googleSet{next}
	}
	return g.call(ctx, http.MethodPost, zone+"/changes", change, nil)
}
