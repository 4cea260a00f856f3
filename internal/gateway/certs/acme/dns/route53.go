// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
)

// route53 takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and with credentials that
// end AWS_SESSION_TOKEN. AWS_HOSTED_ZONE_ID saves looking for the zone.
type route53 struct {
	*web

	hosted string
}

func newRoute53(keys Keys) (certmagic.DNSProvider, error) {
	v, err := all(keys, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	if err != nil {
		return nil, err
	}
	sign := awsSign(v[0], v[1], keys("AWS_SESSION_TOKEN"), time.Now)
	return ofSet(&route53{newWeb("https://route53.amazonaws.com/2013-04-01", sign), keys("AWS_HOSTED_ZONE_ID")}), nil
}

// awsSign signs by version 4 of the signatures of AWS.
func awsSign(id, secret, session string, now func() time.Time) func(*http.Request, []byte) error {
	return func(r *http.Request, body []byte) error {
		at := now().UTC()
		day, stamp := at.Format("20060102"), at.Format("20060102T150405Z")
		r.Header.Set("X-Amz-Date", stamp)
		names, lines := "host;x-amz-date", "host:"+r.URL.Host+"\nx-amz-date:"+stamp+"\n"
		if session != "" {
			r.Header.Set("X-Amz-Security-Token", session)
			names, lines = names+";x-amz-security-token", lines+"x-amz-security-token:"+session+"\n"
		}
		content := sha256.Sum256(body)
		query := strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20")
		request := strings.Join([]string{r.Method, r.URL.EscapedPath(), query, lines, names, hex.EncodeToString(content[:])}, "\n")
		whole := sha256.Sum256([]byte(request))
		scope := day + "/us-east-1/route53/aws4_request"
		text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(whole[:])}, "\n")
		key := []byte("AWS4" + secret)
		for _, part := range []string{day, "us-east-1", "route53", "aws4_request", text} {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(part))
			key = mac.Sum(nil)
		}
		r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
			id, scope, names, hex.EncodeToString(key)))
		return nil
	}
}

func (r *route53) zone(ctx context.Context, t text) (string, error) {
	if r.hosted != "" {
		return "/hostedzone/" + url.PathEscape(r.hosted), nil
	}
	var list struct {
		Zones []struct {
			ID      string `xml:"Id"`
			Name    string `xml:"Name"`
			Private bool   `xml:"Config>PrivateZone"`
		} `xml:"HostedZones>HostedZone"`
	}
	if err := r.query(ctx, "/hostedzonesbyname?dnsname="+url.QueryEscape(t.zone), &list); err != nil {
		return "", err
	}
	for _, z := range list.Zones {
		if strings.TrimSuffix(z.Name, ".") == t.zone && !z.Private {
			return "/hostedzone/" + url.PathEscape(strings.TrimPrefix(z.ID, "/hostedzone/")), nil
		}
	}
	return "", errNoZone
}

func (r *route53) query(ctx context.Context, path string, out any) error {
	data, err := r.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(data, out); err != nil {
		return fmt.Errorf("its answer is not understood: %w", err)
	}
	return nil
}

// awsSet is the records of one name.
type awsSet struct {
	Name    string      `xml:"Name"`
	Type    string      `xml:"Type"`
	TTL     int         `xml:"TTL"`
	Records []awsRecord `xml:"ResourceRecords>ResourceRecord"`
}

type awsRecord struct {
	Value string `xml:"Value"`
}

func (s *awsSet) values() []string {
	list := make([]string, len(s.Records))
	for i, r := range s.Records {
		list[i] = unquoted(r.Value)
	}
	return list
}

func (r *route53) find(ctx context.Context, t text) (zone string, found *awsSet, err error) {
	if zone, err = r.zone(ctx, t); err != nil {
		return "", nil, err
	}
	var list struct {
		Sets []awsSet `xml:"ResourceRecordSets>ResourceRecordSet"`
	}
	if err := r.query(ctx, zone+"/rrset?maxitems=1&type=TXT&name="+url.QueryEscape(t.fqdn+"."), &list); err != nil {
		return "", nil, err
	}
	for _, s := range list.Sets {
		if s.Type == "TXT" && strings.EqualFold(strings.TrimSuffix(s.Name, "."), t.fqdn) {
			return zone, &s, nil
		}
	}
	return zone, nil, nil
}

func (r *route53) get(ctx context.Context, t text) ([]string, error) {
	_, found, err := r.find(ctx, t)
	if err != nil || found == nil {
		return nil, err
	}
	return found.values(), nil
}

type awsChange struct {
	XMLName xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeResourceRecordSetsRequest"`
	Action  string   `xml:"ChangeBatch>Changes>Change>Action"`
	Set     awsSet   `xml:"ChangeBatch>Changes>Change>ResourceRecordSet"`
}

func (r *route53) put(ctx context.Context, t text, _, values []string) error {
	zone, old, err := r.find(ctx, t)
	if err != nil {
		return err
	}
	change := awsChange{Action: "UPSERT", Set: awsSet{Name: t.fqdn + ".", Type: "TXT", TTL: t.seconds(60)}}
	switch {
	case len(values) > 0:
		for _, v := range values {
			change.Set.Records = append(change.Set.Records, awsRecord{quoted(v)})
		}
	case old == nil:
		return nil
	default:
		change.Action, change.Set = "DELETE", *old
	}
	body, err := xml.Marshal(change)
	if err != nil {
		return err
	}
	_, err = r.send(ctx, http.MethodPost, zone+"/rrset/", "application/xml", append([]byte(xml.Header), body...))
	return err
}
