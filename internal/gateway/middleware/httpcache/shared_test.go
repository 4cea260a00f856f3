// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

// common is a shared store in this process.
type common struct {
	store.Store

	mu     sync.Mutex
	values map[string][]byte
	ttl    time.Duration
	away   bool
}

func (c *common) do(f func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return fmt.Errorf("testing: %w", store.ErrUnavailable)
	}
	if c.values == nil {
		c.values = map[string][]byte{}
	}
	f()
	return nil
}

func (c *common) Get(_ context.Context, key string) (value []byte, ok bool, err error) {
	err = c.do(func() { value, ok = c.values[key] })
	return value, ok, err
}

func (c *common) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	return c.do(func() { c.values[key], c.ttl = value, ttl })
}

func (c *common) Delete(_ context.Context, keys ...string) error {
	return c.do(func() {
		for _, key := range keys {
			delete(c.values, key)
		}
	})
}

func (c *common) set(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

const lasting = `{"maxTtl":60}`

func TestWhatOneReplicaHasStoredAnotherServes(t *testing.T) { // M24
	t.Parallel()
	shared := &common{}
	backend := says(200, "page", "Cache-Control: max-age=50", "Etag: \"1\"")
	one, two := newRigWith(t, lasting, shared, backend), newRigWith(t, lasting, shared, backend)
	defer one.close()
	defer two.close()
	want(t, one.get("/p"), 200, "MISS", "page")
	want(t, two.get("/p"), 200, "HIT", "page")
	if w := two.get("/p", `If-None-Match: "1"`); w.Code != http.StatusNotModified {
		t.Errorf("status %d", w.Code)
	}
	want(t, two.get("/p?q=2"), 200, "MISS", "page")
	if shared.ttl <= 0 || shared.ttl > 2*time.Minute {
		t.Errorf("it stays for %s", shared.ttl)
	}
	two.send(http.MethodPost, "/p")
	want(t, one.get("/p"), 200, "MISS", "page") // forgotten by all
}

func TestAnAnswerForOneIsInNoStoreForAll(t *testing.T) { // M24
	t.Parallel()
	shared := &common{}
	backend := says(200, "mine", "Cache-Control: max-age=50")
	one, two := newRigWith(t, lasting, shared, backend), newRigWith(t, lasting, shared, backend)
	defer one.close()
	defer two.close()
	one.get("/p", "Authorization: Bearer a")
	if len(shared.values) != 0 {
		t.Error("it is stored")
	}
	if w := two.get("/p", "Authorization: Bearer b"); w.Header().Get("X-Cache-Status") == "HIT" {
		t.Error("it is served")
	}
}

func TestVariantsAreSharedToo(t *testing.T) { // M24
	t.Parallel()
	shared := &common{}
	backend := func(w http.ResponseWriter, r *http.Request) {
		says(200, r.Header.Get("Accept-Language"), "Cache-Control: max-age=50", "Vary: Accept-Language")(w, r)
	}
	one, two := newRigWith(t, lasting, shared, backend), newRigWith(t, lasting, shared, backend)
	defer one.close()
	defer two.close()
	one.get("/p", "Accept-Language: de")
	two.get("/p", "Accept-Language: fr")
	want(t, one.get("/p", "Accept-Language: fr"), 200, "HIT", "fr")
	want(t, two.get("/p", "Accept-Language: de"), 200, "HIT", "de")
	want(t, two.get("/p", "Accept-Language: it"), 200, "MISS", "it")
}

func TestTheRuleSaysWhatHappensWithoutTheStore(t *testing.T) {
	t.Parallel()
	for failure, wanted := range map[string][2]string{
		"":      {"HIT", "200"},
		"local": {"HIT", "200"},
		"allow": {"BYPASS", "200"},
		"deny":  {"", "503"},
	} {
		shared := &common{}
		g := newRigWith(t, fmt.Sprintf(`{"maxTtl":60,"onStoreFailure":%q}`, failure), shared, says(200, "page", "Cache-Control: max-age=50"))
		g.get("/p")
		shared.set(true)
		w := g.get("/p")
		if got := [2]string{w.Header().Get("X-Cache-Status"), fmt.Sprint(w.Code)}; got != wanted {
			t.Errorf("%q: %v, want %v", failure, got, wanted)
		}
		shared.set(false)
		want(t, g.get("/p"), 200, "HIT", "page")
		g.close()
	}
}

func TestAValueThatCannotBeReadIsOverwritten(t *testing.T) {
	t.Parallel()
	shared := &common{}
	g := newRigWith(t, lasting, shared, says(200, "page", "Cache-Control: max-age=50"))
	defer g.close()
	g.get("/p")
	for key, value := range shared.values {
		for n := range value {
			shared.values[key] = value[:n]
			if r, err := decode(value[:n]); err == nil {
				t.Fatalf("the first %d bytes are %v", n, r)
			}
		}
	}
	want(t, g.get("/p"), 200, "MISS", "page")
	want(t, g.get("/p"), 200, "HIT", "page")
}

func TestAnEntryIsTheSameAfterItWasShared(t *testing.T) {
	t.Parallel()
	full := &entry{
		status: 203, fields: []field{{"A", []string{"1", ""}}, {"B", nil}}, body: []byte("body\x00"), control: []string{"max-age=3"},
		maxAge: []string{"3"}, vary: []string{"X"}, variant: "+a\n", received: time.Unix(7, 8), age: 1, lifetime: 2, keepFresh: 3,
		whileRevalidate: 4, ifError: 5, validated: true, patient: true, etag: `W/"e"`, lastModified: "then",
	}
	other := &entry{status: 404, body: []byte{}, strict: true, shared: true, received: time.Unix(0, 0)}
	got, err := decode(encode(&resource{variants: []*entry{full, other}}))
	if err != nil || !reflect.DeepEqual(got.variants, []*entry{full, other}) {
		t.Errorf("%v\n%+v\n%+v", err, got.variants[0], got.variants[1])
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(&resource{variants: []*entry{{status: 200, body: []byte("b"), fields: []field{{"A", []string{"b"}}}}}}))
	f.Add([]byte{codecVersion, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := decode(text)
		if err != nil {
			return
		}
		again, err := decode(encode(r))
		if err != nil || len(again.variants) != len(r.variants) {
			t.Errorf("%v", err)
		}
	})
}

func TestNamesOfKeysHoldNothingThatClientsSend(t *testing.T) {
	t.Parallel()
	s := newShared(nil, nil, stateKey{middleware: "m"})
	names := map[string]bool{}
	for _, k := range []key{{path: "/a", host: "b"}, {path: "/a\"b", host: ""}, {path: "/", query: "a"}, {path: "/", shape: "a"}, {path: "/", scheme: "a"}} {
		name := s.name(k)
		if names[name] || strings.ContainsAny(name, "/\" ") || len(name) > 120 {
			t.Errorf("%+v is %s", k, name)
		}
		names[name] = true
	}
}
