// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package dns puts the records of ACME's dns-01 where the zone is: by the interface
// of a provider of DNS, or by dynamic updates (RFC 2136). A provider is made of
// credentials and talks to nobody before the first record. None brings the library of
// its provider, which would cost every gateway memory: two or three calls are enough.
package dns

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/certmagic"
)

// Keys gives credentials by their names.
type Keys func(key string) string

// apiToken is the credential of providers that have one only.
const apiToken = "apiToken"

// makers are the providers.
var makers = map[string]func(Keys) (certmagic.DNSProvider, error){
	"azure":          newAzure,
	"cloudflare":     newCloudflare,
	"digitalocean":   newDigitalOcean,
	"gandi":          newGandi,
	"googleclouddns": newGoogle,
	"hetzner":        newHetzner,
	"ovh":            newOVH,
	"rfc2136":        newRFC2136,
	"route53":        newRoute53,
}

// New makes a provider.
func New(name string, keys Keys) (certmagic.DNSProvider, error) {
	maker := makers[strings.ToLower(name)]
	switch {
	case name == "":
		return nil, errors.New("is missing; dns-01 needs one")
	case maker == nil:
		return nil, fmt.Errorf("unknown provider %q; use one of %s", name, strings.Join(slices.Sorted(maps.Keys(makers)), ", "))
	}
	p, err := maker(keys)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", name, err)
	}
	return p, nil
}

// first gives the first of several credentials that is there. None is an error that
// names them.
func first(keys Keys, names ...string) (string, error) {
	for _, name := range names {
		if value := strings.TrimSpace(keys(name)); value != "" {
			return value, nil
		}
	}
	return "", fmt.Errorf("the credentials lack %s", strings.Join(names, " or "))
}

// all gives several credentials, each of which is needed.
func all(keys Keys, names ...string) ([]string, error) {
	values := make([]string, len(names))
	var errs []error
	for i, name := range names {
		var err error
		if values[i], err = first(keys, name); err != nil {
			errs = append(errs, err)
		}
	}
	return values, errors.Join(errs...)
}
