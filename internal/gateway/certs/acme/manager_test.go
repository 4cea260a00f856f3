// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"gateway.jkaninda.dev/goma/internal/config"
)

func TestHostsAreRenewedAlsoThoseAddedAfterTheStart(t *testing.T) { // A7
	synctest.Test(t, func(t *testing.T) {
		f := newFake(90 * 24 * time.Hour)
		m := replica(newMemory(), f, config.ACME{})
		running(t, m)
		m.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Minute)
		m.SetHosts(hosts("a.example.com", "b.example.com", "gone.example.com"))
		time.Sleep(time.Minute)
		for _, name := range []string{"a.example.com", "b.example.com", "gone.example.com"} {
			if m.Find(hello(name)) == nil || f.count(name) != 1 {
				t.Fatalf("%s: %v after %d orders", name, m.Find(hello(name)), f.count(name))
			}
		}
		first := m.Find(hello("b.example.com"))
		m.SetHosts(hosts("a.example.com", "b.example.com"))
		time.Sleep(59 * 24 * time.Hour)
		if f.count("a.example.com") != 1 || f.count("b.example.com") != 1 {
			t.Errorf("renewed before two thirds of the lifetime")
		}
		time.Sleep(2 * 24 * time.Hour)
		if f.count("a.example.com") != 2 || f.count("b.example.com") != 2 || m.Find(hello("b.example.com")) == first {
			t.Errorf("not renewed after two thirds: %d and %d orders", f.count("a.example.com"), f.count("b.example.com"))
		}
		if f.count("gone.example.com") != 1 || m.Find(hello("gone.example.com")) != nil {
			t.Error("a host that is gone is renewed or served")
		}
	})
}

func TestAFleetOrdersEachNameOnce(t *testing.T) { // A9
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(90*24*time.Hour), newMemory()
		fleet := []*Manager{replica(s, f, config.ACME{}), replica(s, f, config.ACME{}), replica(s, f, config.ACME{})}
		running(t, fleet...)
		names := []string{"a.example.com", "b.example.com", "c.example.com"}
		for _, m := range fleet {
			m.SetHosts(hosts(names...))
		}
		time.Sleep(time.Minute)
		for _, name := range names {
			serial := ""
			for i, m := range fleet {
				c := m.Find(hello(name))
				if c == nil {
					t.Fatalf("replica %d does not serve %s", i, name)
				}
				if serial != "" && c.Leaf.SerialNumber.String() != serial {
					t.Errorf("replica %d serves another certificate for %s", i, name)
				}
				serial = c.Leaf.SerialNumber.String()
			}
			if f.count(name) != 1 {
				t.Errorf("%d orders for %s", f.count(name), name)
			}
		}
		time.Sleep(61 * 24 * time.Hour)
		for _, name := range names {
			if f.count(name) != 2 {
				t.Errorf("%d orders for %s after the renewal", f.count(name), name)
			}
			if fleet[0].Find(hello(name)).Leaf.SerialNumber.Cmp(fleet[2].Find(hello(name)).Leaf.SerialNumber) != 0 {
				t.Errorf("replicas serve different certificates for %s", name)
			}
		}
	})
}

func TestAReplicaThatDiesInMidOrderIsFollowedByAnother(t *testing.T) { // A9
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(90*24*time.Hour), newMemory()
		f.took = 20 * time.Second
		one, two := replica(s, f, config.ACME{}), replica(s, f, config.ACME{})
		kill := running(t, one)
		one.SetHosts(hosts("a.example.com"))
		time.Sleep(10 * time.Second)
		running(t, two)
		two.SetHosts(hosts("a.example.com"))
		time.Sleep(5 * time.Second)
		kill()
		time.Sleep(2 * time.Minute)
		if two.Find(hello("a.example.com")) == nil || f.count("a.example.com") != 2 {
			t.Errorf("%v after %d orders", two.Find(hello("a.example.com")), f.count("a.example.com"))
		}
	})
}

func TestOneHostThatIsRefusedHoldsUpNoOther(t *testing.T) { // A11
	synctest.Test(t, func(t *testing.T) {
		f := newFake(90 * 24 * time.Hour)
		f.fail["bad.example.com"] = acme.Problem{Type: acme.ProblemTypeUnauthorized, Detail: "no such file"}
		m := replica(newMemory(), f, config.ACME{})
		running(t, m)
		m.SetHosts(hosts("bad.example.com", "good.example.com"))
		time.Sleep(30 * time.Second)
		if m.Find(hello("good.example.com")) == nil || m.Find(hello("bad.example.com")) != nil {
			t.Error("the good host is not served, or the bad one is")
		}
		problems := m.Problems()
		if len(problems) != 1 || problems[0].Object.Name != "of bad.example.com" || problems[0].Severity != config.SeverityWarning ||
			!strings.Contains(problems[0].Message, "no such file") || !strings.Contains(problems[0].Message, "the next attempt is at 2000-01-01T00:02:15Z") {
			t.Errorf("problems %v", problems)
		}
		time.Sleep(time.Hour)
		if n := f.count("bad.example.com"); n != 5 { // at 0, ¼, 2, 12 and 57 minutes
			t.Errorf("%d attempts in an hour", n)
		}
		f.set(func() { delete(f.fail, "bad.example.com") })
		time.Sleep(2 * time.Hour)
		if m.Find(hello("bad.example.com")) == nil || len(m.Problems()) != 0 {
			t.Errorf("not recovered: %v", m.Problems())
		}
	})
}

func TestProcessesThatStartAgainAndAgainDoNotAskAgainAndAgain(t *testing.T) { // A11
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(90*24*time.Hour), newMemory()
		f.took = 10 * time.Second
		for range 20 {
			m := replica(s, f, config.ACME{})
			stop := running(t, m)
			m.SetHosts(hosts("a.example.com"))
			time.Sleep(700 * time.Millisecond) // and dies in the middle of its order
			stop()
		}
		if n := f.count("a.example.com"); n != 1 {
			t.Errorf("%d orders by 20 processes", n)
		}
		time.Sleep(time.Minute)
		m := replica(s, f, config.ACME{})
		running(t, m)
		m.SetHosts(hosts("a.example.com"))
		time.Sleep(20 * time.Second)
		if n := f.count("a.example.com"); n != 2 || m.Find(hello("a.example.com")) == nil {
			t.Errorf("%d orders after the pause", n)
		}
	})
}

// A pod that is alone orders when it is asked, and not before: its Service sends nobody
// to it. What is stored is served at once.
func TestNothingIsOrderedBeforeTheGatewayIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(90*24*time.Hour), newMemory()
		start := func(ready chan struct{}, kind string) *Manager {
			m := replica(s, f, config.ACME{ChallengeType: kind, DNSProvider: "rfc2136", Credentials: map[string]config.Secret{"RFC2136_NAMESERVER": "127.0.0.1"}})
			m.ready = ready
			running(t, m)
			return m
		}
		ready := make(chan struct{})
		m := start(ready, "http-01")
		m.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Minute)
		if f.count("a.example.com") != 0 || len(m.Problems()) != 0 {
			t.Errorf("%d orders, %v", f.count("a.example.com"), m.Problems())
		}
		close(ready)
		time.Sleep(3 * time.Second)
		if f.count("a.example.com") != 1 {
			t.Error("not ordered when it is ready")
		}
		late := start(make(chan struct{}), "http-01")
		late.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Second)
		if late.Find(hello("a.example.com")) == nil {
			t.Error("what is stored waits too")
		}
		records := start(make(chan struct{}), "dns-01")
		records.SetHosts(hosts("b.example.com"))
		time.Sleep(3 * time.Second)
		if f.count("b.example.com") != 1 {
			t.Error("an authority that looks at records waits for the gateway")
		}
	})
}

func TestUnknownNamesOrderNothing(t *testing.T) { // A11
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(90*24*time.Hour), newMemory()
		m := replica(s, f, config.ACME{})
		running(t, m)
		m.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Minute)
		stored := s.size()
		for _, name := range []string{"b.example.com", "x.a.example.com", "example.com", "", "*.example.com"} {
			if m.Find(hello(name)) != nil {
				t.Errorf("there is a certificate for %q", name) // A3
			}
		}
		time.Sleep(time.Hour)
		if s.size() != stored || f.count("a.example.com") != 1 {
			t.Error("something was ordered, or stored")
		}
	})
}

func TestAnAuthorityThatIsDownIsAskedAgain(t *testing.T) { // A12
	synctest.Test(t, func(t *testing.T) {
		f := newFake(90 * 24 * time.Hour)
		down := &url.Error{Op: "Get", URL: "https://ca/dir", Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}
		f.fail["a.example.com"] = down
		m := replica(newMemory(), f, config.ACME{})
		running(t, m)
		m.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Hour)
		if n := f.count("a.example.com"); n < 100 || n > 250 || len(m.Problems()) != 1 {
			t.Errorf("%d attempts in an hour, problems %v", n, m.Problems())
		}
		f.set(func() { delete(f.fail, "a.example.com") })
		time.Sleep(30 * time.Second)
		if m.Find(hello("a.example.com")) == nil || len(m.Problems()) != 0 {
			t.Error("not recovered within seconds")
		}
	})
}

func TestARenewalThatFailsLeavesTheLastGoodCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(90 * 24 * time.Hour)
		m := replica(newMemory(), f, config.ACME{})
		running(t, m)
		m.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Minute)
		f.set(func() { f.fail["a.example.com"] = acme.Problem{Type: acme.ProblemTypeServerInternal, Detail: "sorry"} })
		time.Sleep(85 * 24 * time.Hour)
		if m.Find(hello("a.example.com")) == nil {
			t.Error("the certificate is not served any more")
		}
		if p := m.Problems(); len(p) != 1 || !strings.Contains(p[0].Message, "stays in use") {
			t.Errorf("problems %v", p)
		}
		time.Sleep(6 * 24 * time.Hour)
		if m.Find(hello("a.example.com")) != nil {
			t.Error("it is served after its end")
		}
	})
}

func TestTheAuthorityMayAskForAnEarlierRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(90*24*time.Hour), newMemory()
		f.window = &renewal{Start: time.Now().Add(60 * 24 * time.Hour), End: time.Now().Add(62 * 24 * time.Hour), Ask: time.Now().Add(6 * time.Hour)}
		fleet := []*Manager{replica(s, f, config.ACME{}), replica(s, f, config.ACME{})}
		running(t, fleet...)
		for _, m := range fleet {
			m.SetHosts(hosts("a.example.com"))
		}
		time.Sleep(time.Hour)
		first := fleet[0].Find(hello("a.example.com"))
		// The certificate is to be revoked.
		f.set(func() {
			f.window = &renewal{Start: time.Now().Add(-2 * time.Hour), End: time.Now().Add(-time.Hour), Ask: time.Now().Add(12 * time.Hour)}
		})
		time.Sleep(26 * time.Hour)
		if f.count("a.example.com") != 2 || fleet[0].Find(hello("a.example.com")) == first {
			t.Errorf("%d orders", f.count("a.example.com"))
		}
	})
}

func TestWhatCannotBeReadIsNeitherOverwrittenNorOrdered(t *testing.T) { // A10
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(90*24*time.Hour), newMemory()
		m := replica(s, f, config.ACME{})
		key := m.standard.place.certificate("a.example.com")
		s.values[key] = []byte("{damaged")
		running(t, m)
		m.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Hour)
		if f.count("a.example.com") != 0 || s.text(key) != "{damaged" {
			t.Error("a damaged value was overwritten")
		}
		if p := m.Problems(); len(p) != 1 || !strings.Contains(p[0].Message, "damaged") {
			t.Errorf("problems %v", p)
		}
	})
}

func TestAStoreThatIsGoneCostsNothingThatIsServed(t *testing.T) { // A10
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(90*24*time.Hour), newMemory()
		m := replica(s, f, config.ACME{})
		running(t, m)
		m.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Minute)
		s.breaks(errors.New("disk full"))
		m.SetHosts(hosts("a.example.com", "b.example.com"))
		time.Sleep(time.Hour)
		if m.Find(hello("a.example.com")) == nil || f.count("b.example.com") != 0 {
			t.Error("not served, or ordered without a place to keep it")
		}
		s.breaks(nil)
		s.mu.Lock()
		clear(s.values) // and comes back empty
		s.mu.Unlock()
		time.Sleep(time.Hour)
		if f.count("a.example.com") != 1 || m.Find(hello("b.example.com")) == nil {
			t.Errorf("ordered %d times what was there", f.count("a.example.com"))
		}
		if _, err := s.Load(t.Context(), m.standard.place.certificate("a.example.com")); err != nil {
			t.Error("what the store has lost is not put back")
		}
	})
}

func TestAnotherDirectoryIsAnotherPlace(t *testing.T) { // A10
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(90*24*time.Hour), newMemory()
		staging := replica(s, f, config.ACME{DirectoryURL: "https://staging.example.org/directory"})
		stop := running(t, staging)
		staging.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Minute)
		stop()
		real := replica(s, f, config.ACME{DirectoryURL: "https://ca.example.org/directory"})
		running(t, real)
		real.SetHosts(hosts("a.example.com"))
		time.Sleep(time.Minute)
		if f.count("a.example.com") != 2 || real.Find(hello("a.example.com")).Leaf.SerialNumber.Cmp(staging.Find(hello("a.example.com")).Leaf.SerialNumber) == 0 {
			t.Error("the certificate of another authority is served")
		}
	})
}

func TestWildcardsNeedRecords(t *testing.T) { // A12
	synctest.Test(t, func(t *testing.T) {
		f := newFake(90 * 24 * time.Hour)
		m := replica(newMemory(), f, config.ACME{})
		running(t, m)
		m.SetHosts(hosts("*.example.com", "a.example.org", "localhost"))
		time.Sleep(time.Minute)
		if m.Find(hello("a.example.org")) == nil || f.count("*.example.com") != 0 || f.count("localhost") != 0 {
			t.Error("the wildcard is ordered by http-01, or holds up others")
		}
		if p := m.Problems(); len(p) != 2 || p[0].Object.Name != "of *.example.com" || !strings.Contains(p[0].Message, "dns-01") {
			t.Errorf("problems %v", p)
		}
		d := replica(newMemory(), f, config.ACME{
			ChallengeType: "dns-01", DNSProvider: "rfc2136", Credentials: map[string]config.Secret{"RFC2136_NAMESERVER": "127.0.0.1"},
		})
		running(t, d)
		d.SetHosts(hosts("*.example.com"))
		time.Sleep(time.Minute)
		if d.Find(hello("x.example.com")) == nil || d.Find(hello("example.com")) != nil || d.Find(hello("y.x.example.com")) != nil {
			t.Error("a wildcard is for exactly one label") // A3
		}
	})
}

func TestSettingsThatCannotWorkAreTold(t *testing.T) { // A12
	t.Parallel()
	no := false
	for field, settings := range map[string]config.ACME{
		"termsAccepted": {Email: "a@b.c", TermsAccepted: &no},
		"email":         {},
		"directoryUrl":  {Email: "a@b.c", DirectoryURL: "http://ca.example.org/dir"},
		"dnsProvider":   {Email: "a@b.c", ChallengeType: "dns-01", DNSProvider: "nobody"},
		"challengeType": {Email: "a@b.c", ChallengeType: "carrier-pigeon"},
		"rootCAs":       {Email: "a@b.c", RootCAs: "/does/not/exist"},
		"eab.hmacKey":   {Email: "a@b.c", EAB: &config.ExternalAccount{KeyID: "k", HMACKey: "${NOT_SET}"}},
	} {
		m := New(Options{Settings: &config.CertManager{ACME: &settings}})
		m.SetHosts(hosts("a.example.com"))
		p := m.Problems()
		if len(p) != 2 || p[0].Field != "certManager.acme."+field || p[0].Severity != config.SeverityWarning || p[1].Object.Name != "of a.example.com" {
			t.Errorf("%s: problems %v", field, p)
		}
	}
}

func TestKeysAreOfTheKindThatIsAskedFor(t *testing.T) {
	t.Parallel()
	for kind, bits := range map[string]int{"": 256, "ec256": 256, "EC384": 384, "rsa2048": 2048, "rsa4096": 4096} {
		key, text, err := newKey(kind)
		must(t, err)
		got := 0
		switch public := key.Public().(type) {
		case *ecdsa.PublicKey:
			got = public.Curve.Params().BitSize
		case *rsa.PublicKey:
			got = public.N.BitLen()
		}
		if _, err := parseKey(text); err != nil || got != bits {
			t.Errorf("%q: %d bits, %v", kind, got, err)
		}
	}
	for _, kind := range config.KeyTypes {
		if f := config.ValidateFile(&config.File{CertManager: &config.CertManager{ACME: &config.ACME{KeyType: kind}}}); config.HasErrors(f) {
			t.Errorf("%s is refused: %v", kind, f)
		}
	}
}

func TestAProviderOfAnotherTypeThanACMEIsOffAndSaysSo(t *testing.T) { // C7
	t.Parallel()
	for field, settings := range map[string]config.CertManager{
		"certManager.acme":               {Provider: "vault", Vault: &config.Vault{Address: "https://vault.example.com"}},
		"certManager.providers.pki.acme": {Providers: map[string]config.CertProvider{"pki": {Type: "vault"}}},
	} {
		m := New(Options{Settings: &settings})
		if p := m.Problems(); len(p) == 0 || p[0].Field != field || !strings.Contains(p[0].Message, "of type \"vault\" is off") {
			t.Errorf("%s: problems %v", field, p)
		}
	}
}

func TestTokensInProgressAndNoOthersAreAnswered(t *testing.T) { // A8
	t.Parallel()
	s := newMemory()
	m := replica(s, newFake(time.Hour), config.ACME{})
	m.SetHosts(hosts("a.example.com"))
	c := acme.Challenge{Type: "http-01", Token: "tok_en-1", KeyAuthorization: "tok_en-1.thumb", Identifier: acme.Identifier{Type: "dns", Value: "a.example.com"}}
	solver := challenges{s, byToken}
	must(t, solver.Present(t.Context(), c))
	answer := func(host, path string) string {
		text, _ := m.Answer(t.Context(), host, path)
		return text
	}
	for _, x := range []struct{ host, path, want string }{
		{"a.example.com", ChallengePath + "tok_en-1", "tok_en-1.thumb"},
		{"a.example.com:80", ChallengePath + "tok_en-1", "tok_en-1.thumb"},
		{"b.example.com", ChallengePath + "tok_en-1", ""},
		{"a.example.com", ChallengePath + "other", ""},
		{"a.example.com", ChallengePath + "TOK_EN-1", ""},
		{"a.example.com", ChallengePath + "../tok_en-1", ""},
		{"a.example.com", ChallengePath, ""},
		{"a.example.com", "/tok_en-1", ""},
	} {
		if got := answer(x.host, x.path); got != x.want {
			t.Errorf("%s%s: %q", x.host, x.path, got)
		}
	}
	must(t, solver.CleanUp(t.Context(), c))
	if got := answer("a.example.com", ChallengePath+"tok_en-1"); got != "" {
		t.Errorf("answered after its end: %q", got)
	}
}

func TestAHandshakeOfAnAuthorityIsAnsweredOnlyDuringAChallenge(t *testing.T) { // A6
	t.Parallel()
	s := newMemory()
	m := replica(s, newFake(time.Hour), config.ACME{ChallengeType: "tls-alpn-01"})
	m.SetHosts(hosts("a.example.com"))
	h := hello("a.example.com")
	h.SupportedProtos = []string{"h2", "http/1.1"}
	if c, err := m.Challenged(h); c != nil || err != nil {
		t.Errorf("a browser got %v, %v", c, err)
	}
	h.SupportedProtos = []string{Protocol}
	if c, err := m.Challenged(h); c != nil || err == nil {
		t.Error("a handshake without a challenge is answered")
	}
	c := acme.Challenge{Type: "tls-alpn-01", Token: "t", KeyAuthorization: "t.x", Identifier: acme.Identifier{Type: "dns", Value: "a.example.com"}}
	must(t, challenges{s, byHost}.Present(t.Context(), c))
	got, err := m.Challenged(h)
	if err != nil || len(got.NextProtos) != 1 || got.NextProtos[0] != Protocol || len(got.Certificates) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAttemptsAreStoredInAForm(t *testing.T) {
	t.Parallel()
	a := attempts{Error: "x"}.begun(time.Unix(0, 0))
	data, err := json.Marshal(a)
	must(t, err)
	back, err := decodeAttempts(data)
	if err != nil || back.Failures != 1 || !back.Next.Equal(time.Unix(15, 0)) || back.Error != "x" {
		t.Errorf("%+v, %v", back, err)
	}
	if unreachable(context.Canceled) {
		t.Error("a context that ended is no authority that is down")
	}
}
