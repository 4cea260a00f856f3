// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

// Package acme tests certificates against Pebble, the authority that Let's Encrypt
// tests clients with. It runs in this process, on loopback ports, with a DNS server
// that gives every name this machine's address. It needs the command redis-server
// (Debian: redis-server) too.
package acme

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// patience is how long a test waits for what must come.
const patience = 90 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits for what must come.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

// free gives an address that is not taken.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close() //nolint:errcheck // a test
	return l.Addr().String()
}

// front takes the connections of the authority and hands each to another replica, as
// a load balancer would.
type front struct {
	listener net.Listener
	next     atomic.Int64
	mu       sync.Mutex

	to []string
}

func newFront(t *testing.T) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &front{listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.pass(c)
		}
	}()
	return f
}

func (f *front) port() int { return f.listener.Addr().(*net.TCPAddr).Port }

func (f *front) add(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = append(f.to, address)
}

func (f *front) remove(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = slices.DeleteFunc(slices.Clone(f.to), func(other string) bool { return other == address })
}

// dial takes the next replica; while there is none it waits for the first, whose order
// may be quicker than the test.
func (f *front) dial() net.Conn {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		f.mu.Lock()
		list := f.to
		f.mu.Unlock()
		if len(list) == 0 {
			continue
		}
		if c, err := net.Dial("tcp", list[int(f.next.Add(1))%len(list)]); err == nil {
			return c
		}
	}
	return nil
}

func (f *front) pass(c net.Conn) {
	defer c.Close() //nolint:errcheck // a test
	back := f.dial()
	if back == nil {
		return
	}
	defer back.Close() //nolint:errcheck // a test
	go func() {
		_, _ = io.Copy(back, c)
		_ = back.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, back)
}

// authority is a Pebble, with what it looks at.
type authority struct {
	t         *testing.T
	address   string
	web       *front
	webSecure *front
	zone      *zone
	life      uint64
	binding   map[string]string
	server    *httptest.Server
	roots     string

	mu sync.Mutex

	orders int
	// hold, when it is set, is called for each order before it is answered.
	hold func()
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_AUTHZREUSE", "0")
	a := &authority{
		t: t, web: newFront(t), webSecure: newFront(t), zone: newZone(t), roots: filepath.Join(t.TempDir(), "pebble.pem"),
	}
	a.address = free(t) // after the others, who would take it
	t.Cleanup(a.stop)
	return a
}

func (a *authority) directory() string { return "https://" + a.address + "/dir" }

// start runs the authority; its memory begins anew.
func (a *authority) start() {
	a.t.Helper()
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	for id, key := range a.binding {
		must(a.t, store.AddExternalAccountKeyByID(id, key))
	}
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "of this test", ValidityPeriod: a.life}})
	checks := va.New(quiet, a.web.port(), a.webSecure.port(), false, a.zone.address, store)
	front := wfe.New(quiet, store, checks, issuer, []string{"pebble.letsencrypt.org"}, false, len(a.binding) > 0, 1, 1)
	handler := front.Handler()
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := &statusOf{ResponseWriter: w}
		if r.URL.Path == "/order-plz" {
			a.mu.Lock()
			hold := a.hold
			a.mu.Unlock()
			if hold != nil {
				hold()
			}
		}
		handler.ServeHTTP(recorder, r)
		if r.URL.Path == "/order-plz" && recorder.status == http.StatusCreated {
			a.mu.Lock()
			a.orders++
			a.mu.Unlock()
		}
	}))
	a.server.Config.ErrorLog = quiet
	l, err := net.Listen("tcp", a.address)
	must(a.t, err)
	_ = a.server.Listener.Close()
	a.server.Listener = l
	a.server.StartTLS()
	must(a.t, os.WriteFile(a.roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw}), 0o600))
}

func (a *authority) stop() {
	if a.server != nil {
		a.server.CloseClientConnections()
		a.server.Close()
		a.server = nil
	}
}

// count is how many orders there were.
func (a *authority) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.orders
}

type statusOf struct {
	http.ResponseWriter

	status int
}

func (s *statusOf) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// The key by which records are changed.
const (
	tsigKey    = "goma."
	tsigSecret = "c2VjcmV0IG9mIHRoZSB0ZXN0IGZvciBzaWduaW5nISE="
)

// zone is the DNS server of example.com.
type zone struct {
	address string
	mu      sync.Mutex

	texts   map[string][]string
	updates int
}

func newZone(t *testing.T) *zone {
	t.Helper()
	z := &zone{texts: map[string][]string{}}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	z.address = packets.LocalAddr().String()
	stream, err := net.Listen("tcp", z.address)
	must(t, err)
	secret := map[string]string{tsigKey: tsigSecret}
	take := func(h dns.Header) dns.MsgAcceptAction { return dns.MsgAccept } // updates too
	for _, s := range []*dns.Server{
		{PacketConn: packets, Handler: z, TsigSecret: secret, MsgAcceptFunc: take},
		{Listener: stream, Handler: z, TsigSecret: secret, MsgAcceptFunc: take},
	} {
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return z
}

// ServeDNS implements dns.Handler.
func (z *zone) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(r)
	m.Authoritative = true
	switch {
	case r.Opcode == dns.OpcodeUpdate && (r.IsTsig() == nil || w.TsigStatus() != nil):
		m.Rcode = dns.RcodeRefused
	case r.Opcode == dns.OpcodeUpdate:
		z.update(r)
		m.SetTsig(tsigKey, dns.HmacSHA256, 300, time.Now().Unix())
	case len(r.Question) == 1:
		z.answer(m, r.Question[0])
	}
	_ = w.WriteMsg(m)
}

func (z *zone) update(r *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.updates++
	for _, rr := range r.Ns {
		txt, ok := rr.(*dns.TXT)
		if !ok {
			continue
		}
		name, value := strings.ToLower(txt.Hdr.Name), strings.Join(txt.Txt, "")
		if rr.Header().Class == dns.ClassINET {
			z.texts[name] = append(z.texts[name], value)
			continue
		}
		var rest []string
		for _, have := range z.texts[name] {
			if have != value {
				rest = append(rest, have)
			}
		}
		z.texts[name] = rest
	}
}

func (z *zone) answer(m *dns.Msg, q dns.Question) {
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 1}
	soa := &dns.SOA{
		Hdr: dns.RR_Header{Name: "example.com.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 1},
		Ns:  "ns.example.com.", Mbox: "root.example.com.", Serial: 1, Minttl: 1,
	}
	switch q.Qtype {
	case dns.TypeA:
		m.Answer = append(m.Answer, &dns.A{Hdr: header, A: net.IPv4(127, 0, 0, 1)})
	case dns.TypeSOA:
		if strings.EqualFold(q.Name, "example.com.") {
			m.Answer = append(m.Answer, soa)
			return
		}
	case dns.TypeTXT:
		z.mu.Lock()
		defer z.mu.Unlock()
		for _, value := range z.texts[strings.ToLower(q.Name)] {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: header, Txt: []string{value}})
		}
	}
	if len(m.Answer) == 0 {
		m.Ns = append(m.Ns, soa)
	}
}

// left counts records that nobody took away.
func (z *zone) left() (n int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, values := range z.texts {
		n += len(values)
	}
	return n
}

// served gives the certificate that a gateway shows for a name; nil for its default.
func served(address, name string) *certificate {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", address, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // it is looked at
	if err != nil {
		return nil
	}
	defer c.Close() //nolint:errcheck // a test
	leaf := c.ConnectionState().PeerCertificates[0]
	if !strings.Contains(leaf.Issuer.CommonName, "Pebble") {
		return nil
	}
	return &certificate{serial: leaf.SerialNumber.String(), names: leaf.DNSNames, end: leaf.NotAfter}
}

type certificate struct {
	serial string
	names  []string
	end    time.Time
}
