// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package jwt

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

func TestAGoodTokenIsRememberedButNotBeyondItsEnd(t *testing.T) { // M15
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, definition.Build{}, rulemap{"secret": secret})
		token := hs(t, jwtlib.MapClaims{"exp": time.Now().Add(10 * time.Second).Unix()})
		time.Sleep(9 * time.Second)
		if !g.admits(token) {
			t.Error("it is refused before its end")
		}
		time.Sleep(time.Second)
		if g.admits(token) {
			t.Error("it is good after its end")
		}
	})
}

func TestWhatIsRememberedIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, set := newRemembered(), &keySet{}
		id := g.identify("a.b.c")
		if g.get(id, set) != nil {
			t.Error("it knows what it has not seen")
		}
		who := &identity{set: set, until: time.Now().Add(rememberFor)}
		g.add(id, who)
		if g.get(id, set) != who || g.get(g.identify("a.b.d"), set) != nil {
			t.Error("it does not know the token, and no other")
		}
		time.Sleep(rememberFor)
		if g.get(id, set) != nil || g.len() != 0 {
			t.Error("it does not forget")
		}
		g.add(id, &identity{set: set, until: time.Now().Add(rememberFor)})
		if g.get(id, &keySet{}) != nil || g.get(id, set) != nil { // M16
			t.Error("a token is good with keys that are gone")
		}
	})
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	g, who := newRemembered(), &identity{}
	long := strings.Repeat("x", 1000)
	for i := range 20_000 {
		g.add(g.identify(long+strconv.Itoa(i)), who)
	}
	if most := 2 * shards * mostBytesPerShard / len(long); g.len() > most {
		t.Errorf("%d tokens are remembered, at most %d may be", g.len(), most)
	}
	if newRemembered().identify("a.b.c") == g.identify("a.b.c") {
		t.Error("the names of tokens can be computed elsewhere")
	}
}

func BenchmarkIdentify(b *testing.B) {
	g, token := newRemembered(), strings.Repeat("x", 900)
	b.ReportAllocs()
	for b.Loop() {
		g.identify(token)
	}
}
