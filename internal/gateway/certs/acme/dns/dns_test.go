// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libdns/libdns"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fake is the interface of a provider as its documentation describes it, with the
// records of _acme-challenge.example.com.
type fake struct {
	t      *testing.T
	mu     sync.Mutex
	values map[int]string
	next   int
}

func (f *fake) list() (out []string) {
	for _, id := range f.ids() {
		out = append(out, f.values[id])
	}
	return out
}

func (f *fake) ids() (out []int) {
	for id := range f.values {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func (f *fake) add(value string) int {
	f.next++
	f.values[f.next] = value
	return f.next
}

func (f *fake) replace(values []string) {
	clear(f.values)
	for _, v := range values {
		f.add(v)
	}
}

func decode(f *fake, r *http.Request, into any) {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		f.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// handlers are the interfaces: each registers its paths.
var handlers = map[string]func(f *fake, mux *http.ServeMux){
	"cloudflare": func(f *fake, mux *http.ServeMux) {
		mux.HandleFunc("GET /zones", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("name") != "example.com" {
				answer(w, map[string]any{"result": []any{}})
				return
			}
			answer(w, map[string]any{"result": []any{map[string]any{"id": "z1"}}})
		})
		mux.HandleFunc("POST /zones/z1/dns_records", func(w http.ResponseWriter, r *http.Request) {
			var b struct{ Type, Name, Content string }
			decode(f, r, &b)
			if b.Type != "TXT" || b.Name != "_acme-challenge.example.com" {
				f.t.Errorf("record %+v", b)
			}
			f.add(b.Content)
			answer(w, map[string]any{"success": true})
		})
		mux.HandleFunc("GET /zones/z1/dns_records", func(w http.ResponseWriter, _ *http.Request) {
			var list []any
			for _, id := range f.ids() {
				list = append(list, map[string]any{"id": strconv.Itoa(id), "content": f.values[id]})
			}
			answer(w, map[string]any{"result": list})
		})
		mux.HandleFunc("DELETE /zones/z1/dns_records/{id}", func(w http.ResponseWriter, r *http.Request) {
			id, _ := strconv.Atoi(r.PathValue("id"))
			delete(f.values, id)
			answer(w, map[string]any{})
		})
	},
	"digitalocean": func(f *fake, mux *http.ServeMux) {
		mux.HandleFunc("POST /domains/example.com/records", func(w http.ResponseWriter, r *http.Request) {
			var b struct{ Type, Name, Data string }
			decode(f, r, &b)
			if b.Type != "TXT" || b.Name != "_acme-challenge" {
				f.t.Errorf("record %+v", b)
			}
			f.add(b.Data)
			w.WriteHeader(http.StatusCreated)
		})
		mux.HandleFunc("GET /domains/example.com/records", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("name") != "_acme-challenge.example.com" {
				f.t.Errorf("query %s", r.URL.RawQuery)
			}
			var list []any
			for _, id := range f.ids() {
				list = append(list, map[string]any{"id": id, "data": f.values[id]})
			}
			answer(w, map[string]any{"domain_records": list})
		})
		mux.HandleFunc("DELETE /domains/example.com/records/{id}", func(w http.ResponseWriter, r *http.Request) {
			id, _ := strconv.Atoi(r.PathValue("id"))
			delete(f.values, id)
			w.WriteHeader(http.StatusNoContent)
		})
	},
	"hetzner": func(f *fake, mux *http.ServeMux) {
		type body struct{ Records []struct{ Value string } }
		mux.HandleFunc("POST /zones/example.com/rrsets/_acme-challenge/TXT/actions/{action}", func(w http.ResponseWriter, r *http.Request) {
			var b body
			decode(f, r, &b)
			for _, record := range b.Records {
				if r.PathValue("action") == "add_records" {
					f.add(record.Value)
					continue
				}
				for id, v := range f.values {
					if v == record.Value {
						delete(f.values, id)
					}
				}
			}
			answer(w, map[string]any{"action": map[string]any{}})
		})
	},
	"gandi": func(f *fake, mux *http.ServeMux) {
		const path = " /domains/example.com/records/_acme-challenge/TXT"
		mux.HandleFunc("GET"+path, func(w http.ResponseWriter, _ *http.Request) {
			if len(f.values) == 0 {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			answer(w, map[string]any{"rrset_values": f.list()})
		})
		mux.HandleFunc("PUT"+path, func(w http.ResponseWriter, r *http.Request) {
			var b struct {
				Values []string `json:"rrset_values"`
				TTL    int      `json:"rrset_ttl"`
			}
			decode(f, r, &b)
			if b.TTL < 300 {
				f.t.Errorf("ttl %d", b.TTL)
			}
			f.replace(b.Values)
			w.WriteHeader(http.StatusCreated)
		})
		mux.HandleFunc("DELETE"+path, func(w http.ResponseWriter, _ *http.Request) {
			clear(f.values)
			w.WriteHeader(http.StatusNoContent)
		})
	},
	"ovh": func(f *fake, mux *http.ServeMux) {
		mux.HandleFunc("POST /domain/zone/example.com/record", func(w http.ResponseWriter, r *http.Request) {
			var b struct{ FieldType, SubDomain, Target string }
			decode(f, r, &b)
			if b.FieldType != "TXT" || b.SubDomain != "_acme-challenge" {
				f.t.Errorf("record %+v", b)
			}
			answer(w, map[string]any{"id": f.add(b.Target)})
		})
		mux.HandleFunc("POST /domain/zone/example.com/refresh", func(http.ResponseWriter, *http.Request) {})
		mux.HandleFunc("GET /domain/zone/example.com/record", func(w http.ResponseWriter, _ *http.Request) { answer(w, f.ids()) })
		mux.HandleFunc("GET /domain/zone/example.com/record/{id}", func(w http.ResponseWriter, r *http.Request) {
			id, _ := strconv.Atoi(r.PathValue("id"))
			answer(w, map[string]any{"target": f.values[id]})
		})
		mux.HandleFunc("DELETE /domain/zone/example.com/record/{id}", func(_ http.ResponseWriter, r *http.Request) {
			id, _ := strconv.Atoi(r.PathValue("id"))
			delete(f.values, id)
		})
	},
	"azure": func(f *fake, mux *http.ServeMux) {
		const path = " /subscriptions/s/resourceGroups/g/providers/Microsoft.Network/dnsZones/example.com/TXT/_acme-challenge"
		mux.HandleFunc("GET"+path, func(w http.ResponseWriter, _ *http.Request) {
			if len(f.values) == 0 {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			var list []any
			for _, v := range f.list() {
				list = append(list, map[string]any{"value": []string{v}})
			}
			answer(w, map[string]any{"properties": map[string]any{"TXTRecords": list}})
		})
		mux.HandleFunc("PUT"+path, func(_ http.ResponseWriter, r *http.Request) {
			var b azureSet
			decode(f, r, &b)
			var values []string
			for _, v := range b.Properties.Text {
				values = append(values, v.Value...)
			}
			f.replace(values)
		})
		mux.HandleFunc("DELETE"+path, func(http.ResponseWriter, *http.Request) { clear(f.values) })
	},
	"googleclouddns": func(f *fake, mux *http.ServeMux) {
		mux.HandleFunc("GET /projects/p/managedZones", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, map[string]any{"managedZones": []any{
				map[string]any{"name": "inside", "visibility": "private"}, map[string]any{"name": "z1", "visibility": "public"},
			}})
		})
		mux.HandleFunc("GET /projects/p/managedZones/z1/rrsets", func(w http.ResponseWriter, _ *http.Request) {
			if len(f.values) == 0 {
				answer(w, map[string]any{})
				return
			}
			answer(w, map[string]any{"rrsets": []any{googleSet{"_acme-challenge.example.com.", "TXT", 60, f.list()}}})
		})
		mux.HandleFunc("POST /projects/p/managedZones/z1/changes", func(_ http.ResponseWriter, r *http.Request) {
			var b map[string][]googleSet
			decode(f, r, &b)
			if old := b["deletions"]; len(f.values) > 0 && (len(old) != 1 || !slices.Equal(old[0].Values, f.list())) {
				f.t.Errorf("deletions %v are not what is there, %v", old, f.list())
			}
			f.replace(nil)
			for _, s := range b["additions"] {
				f.replace(s.Values)
			}
		})
	},
	"route53": func(f *fake, mux *http.ServeMux) {
		mux.HandleFunc("GET /hostedzonesbyname", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, `<R><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name></HostedZone></HostedZones></R>`)
		})
		mux.HandleFunc("GET /hostedzone/Z1/rrset", func(w http.ResponseWriter, _ *http.Request) {
			var b strings.Builder
			for _, v := range f.list() {
				b.WriteString("<ResourceRecord><Value>" + quoted(v) + "</Value></ResourceRecord>")
			}
			name := "_acme-challenge.example.com."
			if len(f.values) == 0 {
				name = "other.example.com."
			}
			_, _ = fmt.Fprintf(w, `<R><ResourceRecordSets><ResourceRecordSet><Name>%s</Name><Type>TXT</Type><TTL>60</TTL><ResourceRecords>%s</ResourceRecords></ResourceRecordSet></ResourceRecordSets></R>`, name, b.String())
		})
		mux.HandleFunc("POST /hostedzone/Z1/rrset/", func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			var c awsChange
			if err == nil {
				err = xml.Unmarshal(body, &c)
			}
			if n := strings.Count(string(body), "<ResourceRecord><Value>"); err != nil || n != len(c.Set.Records) {
				f.t.Errorf("%v: %s", err, body)
			}
			values := c.Set.values()
			if c.Action == "DELETE" {
				if len(values) != len(f.values) {
					f.t.Errorf("deleted %v of %v", values, f.list())
				}
				values = nil
			}
			f.replace(values)
		})
	},
}

// credentials are enough for each provider, and tell by what header they are seen.
var credentials = map[string]struct {
	keys   map[string]string
	header string
	starts string
}{
	"cloudflare":   {map[string]string{"apiToken": "t0k"}, "Authorization", "Bearer t0k"},
	"digitalocean": {map[string]string{"DO_AUTH_TOKEN": "t0k"}, "Authorization", "Bearer t0k"},
	"hetzner":      {map[string]string{"apiToken": "t0k"}, "Authorization", "Bearer t0k"},
	"gandi":        {map[string]string{"apiToken": "t0k"}, "Authorization", "Bearer t0k"},
	"ovh": {map[string]string{
		"OVH_APPLICATION_KEY": "ak", "OVH_APPLICATION_SECRET": "as", "OVH_CONSUMER_KEY": "ck",
	}, "X-Ovh-Signature", "$1$"},
	"azure": {map[string]string{
		"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "cs", "AZURE_SUBSCRIPTION_ID": "s", "AZURE_RESOURCE_GROUP": "g",
	}, "Authorization", "Bearer fetched"},
	"googleclouddns": {nil, "Authorization", "Bearer fetched"},
	"route53":        {map[string]string{"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}, "Authorization", "AWS4-HMAC-SHA256 Credential=AKID/"},
}

// point sends a provider to the fake.
func point(t *testing.T, p any, base string) {
	t.Helper()
	inner := p.(singles).single
	if s, ok := inner.(*sets); ok {
		switch v := s.set.(type) {
		case *gandi:
			v.base = base
		case *azure:
			v.base, v.sign = base, header("Authorization", "Bearer fetched")
		case *google:
			v.base, v.sign = base, header("Authorization", "Bearer fetched")
		case *route53:
			v.base = base
		}
		return
	}
	switch v := inner.(type) {
	case *cloudflare:
		v.base = base
	case *digitalOcean:
		v.base = base
	case *hetzner:
		v.base = base
	case *ovh:
		v.base = base
	default:
		t.Fatalf("%T", v)
	}
}

func TestProvidersKeepRecordsOfTheSameNameApart(t *testing.T) {
	t.Parallel()
	for name, register := range handlers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{t: t, values: map[int]string{}}
			mux := http.NewServeMux()
			register(f, mux)
			c := credentials[name]
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f.mu.Lock()
				defer f.mu.Unlock()
				if !strings.HasPrefix(r.Header.Get(c.header), c.starts) {
					t.Errorf("%s: %s", c.header, r.Header.Get(c.header))
				}
				mux.ServeHTTP(w, r)
			}))
			defer server.Close()
			keys := c.keys
			if name == "googleclouddns" {
				keys = map[string]string{"GCE_SERVICE_ACCOUNT": serviceAccount(t)}
			}
			p, err := New(name, func(key string) string { return keys[key] })
			must(t, err)
			point(t, p, server.URL)
			record := func(value string) []libdns.Record {
				return []libdns.Record{libdns.RR{Name: "_acme-challenge", Type: "TXT", Data: value, TTL: time.Minute}}
			}
			check := func(want ...string) {
				t.Helper()
				f.mu.Lock()
				defer f.mu.Unlock()
				got := f.list()
				for i, v := range got {
					got[i] = unquoted(v)
				}
				if !slices.Equal(got, want) {
					t.Errorf("records %v, not %v", got, want)
				}
			}
			for _, value := range []string{"one", "two"} { // of the name and of its wildcard
				if got, err := p.AppendRecords(t.Context(), "example.com.", record(value)); err != nil || len(got) != 1 {
					t.Fatal(got, err)
				}
			}
			check("one", "two")
			_, err = p.DeleteRecords(t.Context(), "example.com.", record("one"))
			must(t, err)
			check("two")
			_, err = p.DeleteRecords(t.Context(), "example.com.", record("two"))
			must(t, err)
			check()
			_, err = p.DeleteRecords(t.Context(), "example.com.", record("two")) // once more
			must(t, err)
		})
	}
}

func serviceAccount(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	data, err := json.Marshal(map[string]string{"project_id": "p", "private_key": string(text), "client_email": "a@b.c"})
	must(t, err)
	return string(data)
}

func TestCredentialsThatAreMissingAreNamed(t *testing.T) { // A12
	t.Parallel()
	for name := range makers {
		if _, err := New(name, func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "lack") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New("nobody", nil); err == nil || !strings.Contains(err.Error(), "cloudflare") {
		t.Errorf("unknown: %v", err)
	}
}

// The example of the documentation of signatures, for a service and a region that are
// ours: the same request signs the same way, and another one does not.
func TestSignaturesOfAWSCoverTheRequest(t *testing.T) {
	t.Parallel()
	sign := awsSign("AKID", "secret", "", func() time.Time { return time.Unix(1700000000, 0) })
	signature := func(method, url, body string) string {
		r, err := http.NewRequestWithContext(context.Background(), method, url, nil)
		must(t, err)
		must(t, sign(r, []byte(body)))
		return r.Header.Get("Authorization")
	}
	one := signature("GET", "https://route53.amazonaws.com/2013-04-01/hostedzone?a=b&c=d", "")
	if one != signature("GET", "https://route53.amazonaws.com/2013-04-01/hostedzone?c=d&a=b", "") {
		t.Error("the order of the query changes the signature")
	}
	for _, other := range []string{
		signature("POST", "https://route53.amazonaws.com/2013-04-01/hostedzone?a=b&c=d", ""),
		signature("GET", "https://route53.amazonaws.com/2013-04-01/hostedzone?a=b&c=e", ""),
		signature("GET", "https://route53.amazonaws.com/2013-04-01/hostedzone?a=b&c=d", "x"),
	} {
		if other == one {
			t.Error("another request has the same signature")
		}
	}
	if !strings.Contains(one, "Credential=AKID/20231114/us-east-1/route53/aws4_request, SignedHeaders=host;x-amz-date, Signature=") {
		t.Error(one)
	}
}
