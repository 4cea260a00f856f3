// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"crypto/sha1" //nolint:gosec // the interface signs by it
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
)

// ovh takes OVH_APPLICATION_KEY, OVH_APPLICATION_SECRET and OVH_CONSUMER_KEY, and
// OVH_ENDPOINT: ovh-eu, which is the default, ovh-ca or ovh-us.
type ovh struct{ *web }

var ovhEndpoints = map[string]string{
	"ovh-eu": "https://eu.api.ovh.com/1.0", "ovh-ca": "https://ca.api.ovh.com/1.0", "ovh-us": "https://api.us.ovhcloud.com/1.0",
}

func newOVH(keys Keys) (certmagic.DNSProvider, error) {
	values, err := all(keys, "OVH_APPLICATION_KEY", "OVH_APPLICATION_SECRET", "OVH_CONSUMER_KEY")
	if err != nil {
		return nil, err
	}
	name := keys("OVH_ENDPOINT")
	if name == "" {
		name = "ovh-eu"
	}
	base := ovhEndpoints[name]
	if base == "" {
		return nil, fmt.Errorf("OVH_ENDPOINT is %q; use ovh-eu, ovh-ca or ovh-us", name)
	}
	return singles{&ovh{newWeb(base, ovhSign(values[0], values[1], values[2]))}}, nil
}

func ovhSign(application, secret, consumer string) func(*http.Request, []byte) error {
	return func(r *http.Request, body []byte) error {
		at := strconv.FormatInt(time.Now().Unix(), 10)
		whole := strings.Join([]string{secret, consumer, r.Method, r.URL.String(), string(body), at}, "+")
		sum := sha1.Sum([]byte(whole)) //nolint:gosec // as above
		r.Header.Set("X-Ovh-Application", application)
		r.Header.Set("X-Ovh-Consumer", consumer)
		r.Header.Set("X-Ovh-Timestamp", at)
		r.Header.Set("X-Ovh-Signature", "$1$"+hex.EncodeToString(sum[:]))
		return nil
	}
}

func (o *ovh) zone(t text) string { return "/domain/zone/" + url.PathEscape(t.zone) }

// sub is the name before the zone, which is empty for the zone itself.
func (o *ovh) sub(t text) string { return strings.TrimPrefix(t.name, "@") }

func (o *ovh) refresh(ctx context.Context, t text) error {
	return o.call(ctx, http.MethodPost, o.zone(t)+"/refresh", nil, nil)
}

func (o *ovh) add(ctx context.Context, t text) error {
	err := o.call(ctx, http.MethodPost, o.zone(t)+"/record", map[string]any{
		"fieldType": "TXT", "subDomain": o.sub(t), "target": quoted(t.value), "ttl": t.seconds(60),
	}, nil)
	if err != nil {
		return err
	}
	return o.refresh(ctx, t)
}

func (o *ovh) remove(ctx context.Context, t text) error {
	var ids []int64
	if err := o.call(ctx, http.MethodGet, o.zone(t)+"/record?fieldType=TXT&subDomain="+url.QueryEscape(o.sub(t)), nil, &ids); err != nil {
		return err
	}
	for _, id := range ids {
		path := o.zone(t) + "/record/" + strconv.FormatInt(id, 10)
		var record struct {
			Target string `json:"target"`
		}
		if err := o.call(ctx, http.MethodGet, path, nil, &record); err != nil {
			if absent(err) {
				continue
			}
			return err
		}
		if unquoted(record.Target) != t.value {
			continue
		}
		if err := o.call(ctx, http.MethodDelete, path, nil, nil); err != nil && !absent(err) {
			return err
		}
	}
	return o.refresh(ctx, t)
}
