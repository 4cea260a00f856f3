// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package accesspolicy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// ask sends one request of a client through a rule.
func ask(t *testing.T, rule string, client netip.Addr, headers ...string) (status int, reached bool, x *exchange.Exchange) {
	t.Helper()
	parsed, problems := parse(json.RawMessage(rule))
	if parsed == nil {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(definition.Build{Name: "policy"}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	x = &exchange.Exchange{ClientIP: client, Path: "/"}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	return w.Code, reached, x
}

func TestAddressesAreComparedAsNumbers(t *testing.T) { // M4, M20
	t.Parallel()
	for _, c := range []struct {
		name, rule, client string
		pass               bool
	}{
		{"a listed address passes", `{"action":"allow","sourceRanges":["192.0.2.1"]}`, "192.0.2.1", true},
		{"another does not", `{"sourceRanges":["192.0.2.1"]}`, "192.0.2.2", false},
		{"spaces around are nothing", `{"sourceRanges":[" 192.0.2.1 - 192.0.2.9 "]}`, "192.0.2.5", true},
		{"a range goes over an octet", `{"sourceRanges":["10.0.0.250-10.0.1.5"]}`, "10.0.0.251", true},
		{"a range includes its start", `{"sourceRanges":["10.0.0.250-10.0.1.5"]}`, "10.0.0.250", true},
		{"a range includes its end", `{"sourceRanges":["10.0.0.250-10.0.1.5"]}`, "10.0.1.5", true},
		{"and nothing after it", `{"sourceRanges":["10.0.0.250-10.0.1.5"]}`, "10.0.1.6", false},
		{"nor before its start", `{"sourceRanges":["10.0.0.250-10.0.1.5"]}`, "10.0.0.249", false},
		{"a range of one", `{"sourceRanges":["10.0.0.1-10.0.0.1"]}`, "10.0.0.1", true},
		{"a range of everything", `{"sourceRanges":["0.0.0.0-255.255.255.255"]}`, "203.0.113.9", true},
		{"everything of IPv4 is nothing of IPv6", `{"sourceRanges":["0.0.0.0/0"]}`, "2001:db8::1", false},
		{"an IPv6 range", `{"sourceRanges":["2001:db8::5-2001:db8::1:0"]}`, "2001:db8::ffff", true},
		{"an IPv6 range ends", `{"sourceRanges":["2001:db8::5-2001:db8::1:0"]}`, "2001:db8::1:1", false},
		{"all of IPv6", `{"sourceRanges":["::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]}`, "2001:db8::1", true},
		{"host bits are masked", `{"sourceRanges":["10.1.2.3/8"]}`, "10.200.0.1", true},
		{"a mapped address is IPv4", `{"action":"DENY","sourceRanges":["10.0.0.0/8"]}`, "::ffff:10.0.0.1", false},
		{"a mapped block is IPv4", `{"sourceRanges":["::ffff:10.0.0.0/104"]}`, "10.0.0.1", true},
		{"a mapped range is IPv4", `{"sourceRanges":["::ffff:10.0.0.1-::ffff:10.0.0.9"]}`, "10.0.0.5", true},
		{"a zone changes nothing", `{"action":"DENY","sourceRanges":["fe80::/10"]}`, "fe80::1%eth0", false},
		{"DENY lets others pass", `{"action":"Deny","sourceRanges":["10.0.0.0/8"]}`, "192.0.2.1", true},
		{"one of several is enough", `{"sourceRanges":["10.0.0.0/8","2001:db8::/32","192.0.2.1"]}`, "2001:db8::9", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status, reached, x := ask(t, c.rule, netip.MustParseAddr(c.client))
			if reached != c.pass || (status == http.StatusForbidden) == c.pass || (x.Reason == "access_policy") == c.pass {
				t.Fatalf("backend reached: %v, status %d, reason %q", reached, status, x.Reason)
			}
		})
	}
}

func TestAClientWithoutAnAddressIsRefusedWhateverTheAction(t *testing.T) { // M2
	t.Parallel()
	for _, action := range []string{"ALLOW", "DENY"} {
		status, reached, _ := ask(t, `{"action":"`+action+`","sourceRanges":["10.0.0.0/8"]}`, netip.Addr{})
		if reached || status != http.StatusForbidden {
			t.Errorf("%s: backend reached: %v, status %d", action, reached, status)
		}
	}
}

func TestOnlyTheDerivedAddressCounts(t *testing.T) { // M20
	t.Parallel()
	if _, reached, _ := ask(t, `{"sourceRanges":["10.0.0.1"]}`, netip.MustParseAddr("192.0.2.1"),
		"X-Forwarded-For", "10.0.0.1", "X-Real-Ip", "10.0.0.1", "Forwarded", "for=10.0.0.1"); reached {
		t.Error("a client chose its address")
	}
}

func TestARangeIsCoveredExactly(t *testing.T) { // M20
	t.Parallel()
	for text, want := range map[string][]string{
		"10.0.0.250-10.0.1.5":             {"10.0.0.250/31", "10.0.0.252/30", "10.0.1.0/30", "10.0.1.4/31"},
		"0.0.0.0-255.255.255.255":         {"0.0.0.0/0"},
		"255.255.255.255-255.255.255.255": {"255.255.255.255/32"},
		"2001:db8::-2001:db8::ffff":       {"2001:db8::/112"},
		"10.1.2.3/8":                      {"10.0.0.0/8"},
	} {
		got, err := parseRange(text)
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %v, %v", text, got, err)
			continue
		}
		for i := range got {
			if got[i].String() != want[i] {
				t.Errorf("%s: block %d is %s, want %s", text, i, got[i], want[i])
			}
		}
	}
}

func TestAPolicyThatCannotBeMeantIsRefused(t *testing.T) { // C6, M2
	t.Parallel()
	for rule, field := range map[string]string{
		`{}`:                              "rule.sourceRanges",
		`{"sourceRanges":[]}`:             "rule.sourceRanges",
		`{"sourceRanges":["10.0.0.1",5]}`: "rule.sourceRanges[1]",
		`{"action":"permit","sourceRanges":["10.0.0.1"]}`: "rule.action",
		`{"sourceRanges":["office"]}`:                     "rule.sourceRanges[0]",
		`{"sourceRanges":["10.0.0.0/33"]}`:                "rule.sourceRanges[0]",
		`{"sourceRanges":["10.0.0.9-10.0.0.1"]}`:          "rule.sourceRanges[0]",
		`{"sourceRanges":["10.0.0.9-::1"]}`:               "rule.sourceRanges[0]",
		`{"sourceRanges":["10.0.0.1-"]}`:                  "rule.sourceRanges[0]",
		`{"sourceRanges":["10.0.0.0/8-10.1.0.0/8"]}`:      "rule.sourceRanges[0]",
		`{"sourceRanges":["fe80::1%eth0"]}`:               "rule.sourceRanges[0]",
		`{"sourceRanges":["fe80::1%eth0-fe80::2%eth0"]}`:  "rule.sourceRanges[0]",
		`{"sourceRanges":[""]}`:                           "rule.sourceRanges[0]",
	} {
		if parsed, problems := parse(json.RawMessage(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != field {
			t.Errorf("%s: %v", rule, problems)
		}
	}
}

// FuzzParseRange compares membership in the blocks with plain comparison.
func FuzzParseRange(f *testing.F) { // C10, M20
	f.Add("10.0.0.250-10.0.1.5", "10.0.1.0")
	f.Add("2001:db8::5-2001:db8::1:0", "2001:db8::ffff")
	f.Add("10.0.0.0/8", "::ffff:10.0.0.1")
	f.Fuzz(func(t *testing.T, text, client string) {
		blocks, err := parseRange(text)
		if (err == nil) != (len(blocks) > 0) {
			t.Fatalf("%d blocks and %v", len(blocks), err)
		}
		a, parseErr := netip.ParseAddr(client)
		if err != nil || parseErr != nil {
			return
		}
		a = a.Unmap().WithZone("")
		inside := false
		for _, b := range blocks {
			inside = inside || b.Contains(a)
		}
		first, last := blocks[0].Addr(), end(blocks[len(blocks)-1])
		if want := a.BitLen() == first.BitLen() && !a.Less(first) && !last.Less(a); inside != want {
			t.Fatalf("%s in %s: %v, want %v", a, text, inside, want)
		}
	})
}

func FuzzParse(f *testing.F) { // C10
	f.Add(`{"action":"DENY","sourceRanges":["10.0.0.0/8"]}`)
	f.Fuzz(func(t *testing.T, rule string) {
		if parsed, problems := parse(json.RawMessage(rule)); (parsed == nil) != config.HasErrors(problems) {
			t.Fatalf("rule %v with problems %v", parsed, problems)
		}
	})
}

// manyRanges is a rule with ten thousand ranges, and an address in one of them.
func manyRanges(t testing.TB) (http.Handler, *http.Request) {
	t.Helper()
	ranges := make([]string, 0, 10_000)
	for i := range 10_000 {
		ranges = append(ranges, fmt.Sprintf(`"10.%d.%d.%d-10.%d.%d.%d"`, i>>8, i&255, i%100, i>>8, i&255, 100+i%100))
	}
	parsed, problems := parse([]byte(`{"sourceRanges":[` + strings.Join(ranges, ",") + `]}`))
	if parsed == nil {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(definition.Build{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	return h, r.WithContext(exchange.With(r.Context(), &exchange.Exchange{ClientIP: netip.MustParseAddr("10.39.15.120")}))
}

// Allocations are counted one at a time: this test is not parallel.
func TestTenThousandRangesCostNoAllocation(t *testing.T) {
	h, r := manyRanges(t)
	w := httptest.NewRecorder()
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n != 0 || w.Code != http.StatusOK {
		t.Errorf("%v allocations, status %d", n, w.Code)
	}
}

func BenchmarkTenThousandRanges(b *testing.B) {
	h, r := manyRanges(b)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
