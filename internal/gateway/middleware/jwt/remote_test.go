// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that only the test moves.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_000_000, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

func remoteOf(t *testing.T, i *issuer, logger *slog.Logger) (*remote, *clock) {
	t.Helper()
	c := &clock{}
	m, err := newRemote(remoteKey{url: i.URL}, logger, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m, c
}

// settled waits for the question that is under way, if there is one.
func (m *remote) settled() *remote {
	m.mu.Lock()
	done := m.fetching
	m.mu.Unlock()
	if done != nil {
		<-done
	}
	return m
}

// knows tells whether the provider's key of this name is found.
func (m *remote) knows(t *testing.T, id string) bool {
	t.Helper()
	set, err := m.find(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return set.has(id)
}

func (i *issuer) wasAsked(t *testing.T, want int64) {
	t.Helper()
	if got := i.asked.Load(); got != want {
		t.Errorf("the provider was asked %d times, want %d", got, want)
	}
}

func TestKeysRotate(t *testing.T) { // M16
	t.Parallel()
	s := signers()
	i := newIssuer(t, document(jwkOf("old", s["rsa"].public)))
	m, c := remoteOf(t, i, nil)
	if !m.knows(t, "old") {
		t.Fatal("the key of the provider is not known")
	}
	i.publish(document(jwkOf("old", s["rsa"].public), jwkOf("new", s["p256"].public)))
	c.advance(askAgain)
	if !m.knows(t, "new") || !m.knows(t, "old") {
		t.Error("a new key is not found")
	}
	i.wasAsked(t, 2)
	i.publish(document(jwkOf("new", s["p256"].public)))
	c.advance(fresh + time.Nanosecond)
	if !m.current().has("old") {
		t.Error("a request waits for fresh keys")
	}
	if m.settled(); m.current().has("old") {
		t.Error("a key that was withdrawn is still good")
	}
	i.wasAsked(t, 3)
}

func TestAFloodOfUnknownNamesAsksOnceInTenSeconds(t *testing.T) { // M16
	t.Parallel()
	i := newIssuer(t, document(jwkOf("a", signers()["ed"].public)))
	m, c := remoteOf(t, i, nil)
	m.settled()
	for second := range 60 {
		for n := range 50 {
			if m.knows(t, fmt.Sprintf("random-%d-%d", second, n)) {
				t.Fatal("a key that does not exist is found")
			}
		}
		c.advance(time.Second)
	}
	i.wasAsked(t, 6)
}

func TestManyWhoWaitAskOnce(t *testing.T) { // M16
	t.Parallel()
	i := newIssuer(t, "")
	free := make(chan struct{})
	i.does(func(w http.ResponseWriter, _ *http.Request) {
		<-free
		_, _ = w.Write([]byte(document(jwkOf("a", signers()["ed"].public))))
	})
	m, _ := remoteOf(t, i, nil)
	var waiting, done sync.WaitGroup
	for range 100 {
		waiting.Add(1)
		done.Go(func() {
			waiting.Done()
			if set, err := m.find(t.Context(), "a"); err != nil || !set.has("a") {
				t.Errorf("%v, %v", set, err)
			}
		})
	}
	// One who gives up does not take the answer from the others.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.find(gone, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone gets %v", err)
	}
	waiting.Wait()
	close(free)
	done.Wait()
	i.wasAsked(t, 1)
}

func TestTheLastKeysAreGoodWhileTheProviderIsAway(t *testing.T) { // M16
	t.Parallel()
	good := document(jwkOf("a", signers()["ed"].public))
	for name, answer := range map[string]http.HandlerFunc{
		"an error":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"an empty page": func(http.ResponseWriter, *http.Request) {},
		"HTML":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>login</html>")) },
		"no keys":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"a broken connection": func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		},
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)+1))
			_, _ = w.Write([]byte(good))
		},
		"too long an answer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(good[:len(good)-1] + strings.Repeat(" ", 2<<20) + "}"))
		},
		"another place": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, good)
			var log bytes.Buffer
			m, c := remoteOf(t, i, slog.New(slog.NewTextHandler(&log, nil)))
			before := m.settled().current()
			i.does(answer)
			for range 3 {
				c.advance(fresh + 1)
				m.current()
				if set := m.settled().current(); set == nil || set != before {
					t.Fatal("the keys are gone")
				}
			}
			if i.asked.Load() < 4 { // a connection that breaks is tried twice
				t.Errorf("the provider was asked %d times only", i.asked.Load())
			}
			if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("the outage is told %d times:\n%s", lines, &log)
			}
			i.publish(document(jwkOf("b", signers()["ed"].public)))
			c.advance(askAgain + 1)
			if m.current(); !m.settled().current().has("b") {
				t.Error("the provider is back, and nobody asks")
			}
		})
	}
}

func TestWithoutAnyKeyNobodyPasses(t *testing.T) { // M2, M16
	t.Parallel()
	s := signers()["ed"]
	i := newIssuer(t, "")
	i.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	m, c := remoteOf(t, i, nil)
	m.settled()
	for range 50 {
		if _, err := m.find(t.Context(), "a"); !errors.Is(err, errAway) {
			t.Fatal(err)
		}
	}
	i.wasAsked(t, 1)
	i.publish(document(jwkOf("a", s.public)))
	c.advance(askSoon)
	if !m.knows(t, "a") {
		t.Error("the provider is back, and nobody asks")
	}

	i.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	g := guard(t, definition.Build{}, rulemap{"jwksUrl": i.URL + "/other"})
	w := g.send("Bearer " + sign(t, "EdDSA", "a", s.private, nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || g.hits != 0 {
		t.Errorf("%d, %d reached the backend", w.Code, g.hits)
	}
}

func TestTheSameKeysKeepWhatTheyVerified(t *testing.T) { // D3
	t.Parallel()
	i := newIssuer(t, document(jwkOf("a", signers()["ed"].public)))
	m, c := remoteOf(t, i, nil)
	before := m.settled().current()
	c.advance(fresh + 1)
	m.current()
	if m.settled().current() != before {
		t.Error("the same keys are another set")
	}
	i.wasAsked(t, 2)
}

func TestClosingEndsAQuestionThatHangs(t *testing.T) { // M16, E5
	t.Parallel()
	i := newIssuer(t, "")
	asked := make(chan struct{})
	i.does(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	m, err := newRemote(remoteKey{url: i.URL}, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	m.Close()
	if m.ask(0) != nil {
		t.Error("it asks after its end")
	}
}

func TestKeysOutliveReloadsAndAreShared(t *testing.T) { // D3, M16
	t.Parallel()
	s := signers()["ed"]
	i := newIssuer(t, document(jwkOf("a", s.public)))
	token := sign(t, "EdDSA", "a", s.private, jwtlib.MapClaims{"sub": "ann"})
	shared := pool.New()
	var releases []func()
	b := definition.Build{Pool: shared, Track: func(release func()) { releases = append(releases, release) }}
	first := guard(t, b, rulemap{"jwksUrl": i.URL})
	if !first.admits(token) {
		t.Fatal("a good token is refused")
	}
	old := releases
	releases = nil
	same, other := guard(t, b, rulemap{"jwksUrl": i.URL}), guard(t, b, rulemap{"jwksUrl": i.URL, "audience": "x"})
	for _, release := range old {
		release()
	}
	if !same.admits(token) || other.admits(token) {
		t.Error("a rule decides for another one")
	}
	i.wasAsked(t, 1)
	for _, release := range releases {
		release()
	}
	if shared.Len() != 0 {
		t.Errorf("%d values are left behind", shared.Len())
	}
}

func TestCheckingAsksNobody(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, document(jwkOf("a", signers()["ed"].public)))
	g := guard(t, definition.Build{CheckOnly: true}, rulemap{"jwksUrl": i.URL})
	if g.admits(sign(t, "EdDSA", "a", signers()["ed"].private, nil)) {
		t.Error("it lets a request pass")
	}
	i.wasAsked(t, 0)
}

func TestASharedSecretInAKeySetIsNone(t *testing.T) { // M15
	t.Parallel()
	i := newIssuer(t, document(jwkOf("a", signers()["ed"].public), map[string]any{"kty": "oct", "kid": "shared", "k": b64([]byte(secret))}))
	g := guard(t, definition.Build{}, rulemap{"jwksUrl": i.URL})
	if g.admits(sign(t, "HS256", "shared", []byte(secret), nil)) {
		t.Error("a token that everybody can make is good")
	}
}
