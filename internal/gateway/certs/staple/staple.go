// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package staple adds to certificates what their authorities say of them (OCSP, RFC
// 6960), so that clients need not ask.
//
// A handshake never waits: it gets the answer that is there, or none. Answers are
// fetched beside, renewed at half of their time, and kept while the authority is silent,
// until they end. What an authority has not signed, or says of a certificate that it has
// revoked, is not passed on.
package staple

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Stapler knows the answers for a set of certificates. It is safe for concurrent use; a
// nil one knows none.
type Stapler struct {
	client *http.Client
	log    *slog.Logger
	wake   chan struct{}
	// known are the certificates with their answers, by the signature of the leaf.
	known atomic.Pointer[map[string]answered]

	mu sync.Mutex

	entries map[string]*entry
}

// answered is a certificate with an answer, and when that ends.
type answered struct {
	certificate *tls.Certificate
	until       time.Time
}

// entry is a certificate whose authority can be asked. Its fields are guarded by the
// Stapler's mutex.
type entry struct {
	certificate *tls.Certificate
	issuer      *x509.Certificate
	next        time.Time
	failures    int
	busy        bool
}

// The pauses after failures.
var pauses = [...]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}

const (
	// atOnce bounds the questions at a time, and askTime each of them.
	atOnce  = 4
	askTime = 15 * time.Second
	// soonest is the least time between two answers, and standard that of one which
	// does not say when the next one is.
	soonest  = 5 * time.Minute
	standard = time.Hour
	longest  = time.Hour
	// maxAnswerBytes is several times what answers have.
	maxAnswerBytes = 64 << 10
)

// New makes a Stapler. It asks nobody anything before Run.
func New(log *slog.Logger) *Stapler {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	s := &Stapler{log: log, wake: make(chan struct{}, 1), entries: map[string]*entry{}, client: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConns: 4, IdleConnTimeout: 10 * time.Second, MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	s.known.Store(&map[string]answered{})
	return s
}

// With gives a certificate with the answer of its authority; the same one when there is
// none.
func (s *Stapler) With(c *tls.Certificate) *tls.Certificate {
	if s == nil || c == nil || c.Leaf == nil {
		return c
	}
	if a, ok := (*s.known.Load())[string(c.Leaf.Signature)]; ok && time.Now().Before(a.until) {
		return a.certificate
	}
	return c
}

// Set says which certificates are in use now.
func (s *Stapler) Set(list []*tls.Certificate) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]*entry, len(list))
	news := false
	for _, c := range list {
		if c == nil || c.Leaf == nil || len(c.Leaf.OCSPServer) == 0 {
			continue
		}
		key := string(c.Leaf.Signature)
		e := s.entries[key]
		if e == nil {
			issuer := issuerOf(c)
			if issuer == nil {
				continue
			}
			e, news = &entry{certificate: c, issuer: issuer}, true
		}
		next[key] = e
	}
	if !news && len(next) == len(s.entries) {
		return
	}
	s.entries = next
	known := maps.Clone(*s.known.Load())
	maps.DeleteFunc(known, func(key string, _ answered) bool { return next[key] == nil })
	s.known.Store(&known)
	s.nudge()
}

// issuerOf gives the issuer of a certificate, if it is in the chain; nil otherwise.
func issuerOf(c *tls.Certificate) *x509.Certificate {
	if len(c.Certificate) < 2 {
		return nil
	}
	issuer, err := x509.ParseCertificate(c.Certificate[1])
	if err != nil || c.Leaf.CheckSignatureFrom(issuer) != nil {
		return nil
	}
	return issuer
}

func (s *Stapler) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run asks until the context ends.
func (s *Stapler) Run(ctx context.Context) {
	if s == nil {
		return
	}
	var workers sync.WaitGroup
	defer s.client.CloseIdleConnections()
	defer workers.Wait()
	slots := make(chan struct{}, atOnce)
	for {
		timer := time.NewTimer(s.start(ctx, &workers, slots))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// start asks about the certificates whose time has come, and tells how long it is to
// the next one's.
func (s *Stapler) start(ctx context.Context, workers *sync.WaitGroup, slots chan struct{}) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	due := slices.Collect(maps.Values(s.entries))
	slices.SortFunc(due, func(a, b *entry) int { return a.next.Compare(b.next) })
	for _, e := range due {
		if e.busy {
			continue
		}
		if left := e.next.Sub(now); left > 0 {
			return min(longest, left)
		}
		select {
		case slots <- struct{}{}:
		default:
			return longest // whoever ends wakes the loop
		}
		e.busy = true
		workers.Go(func() {
			defer func() { <-slots; s.nudge() }()
			s.work(ctx, e)
		})
	}
	return longest
}

// work asks about one certificate.
func (s *Stapler) work(ctx context.Context, e *entry) {
	answer, err := s.guarded(ctx, e)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.busy = false
	if err != nil {
		e.next = time.Now().Add(pauses[min(e.failures, len(pauses)-1)])
		if e.failures++; e.failures == 1 && ctx.Err() == nil {
			s.log.Warn("no OCSP answer for a certificate", "names", e.certificate.Leaf.DNSNames, "err", err)
		}
		return
	}
	e.failures = 0
	until := answer.NextUpdate
	if until.IsZero() {
		until = time.Now().Add(2 * standard)
	}
	e.next = answer.ThisUpdate.Add(until.Sub(answer.ThisUpdate) / 2)
	if earliest := time.Now().Add(soonest); e.next.Before(earliest) {
		e.next = earliest
	}
	s.keep(e, answer, until)
}

// keep makes an answer known, unless the certificate is in use no longer.
func (s *Stapler) keep(e *entry, answer *ocsp.Response, until time.Time) {
	key := string(e.certificate.Leaf.Signature)
	if s.entries[key] != e {
		return
	}
	known := maps.Clone(*s.known.Load())
	if answer.Status == ocsp.Good {
		stapled := *e.certificate
		stapled.OCSPStaple = answer.Raw
		known[key] = answered{&stapled, until}
	} else {
		delete(known, key)
		s.log.Error("the authority does not stand by a certificate", "names", e.certificate.Leaf.DNSNames, "revoked_at", answer.RevokedAt)
	}
	s.known.Store(&known)
}

// guarded makes a panic a failure of the one certificate. E5
func (s *Stapler) guarded(ctx context.Context, e *entry) (answer *ocsp.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return s.ask(ctx, e)
}

var errNoAddress = errors.New("its responder has no address that can be asked")

// ask gives the answer of the first responder.
func (s *Stapler) ask(ctx context.Context, e *entry) (*ocsp.Response, error) {
	responder, err := url.Parse(e.certificate.Leaf.OCSPServer[0])
	if err != nil || responder.Host == "" || responder.Scheme != "http" && responder.Scheme != "https" {
		return nil, errNoAddress
	}
	question, err := ocsp.CreateRequest(e.certificate.Leaf, e.issuer, nil)
	if err != nil {
		return nil, fmt.Errorf("making the question: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, responder.String(), bytes.NewReader(question))
	if err != nil {
		return nil, fmt.Errorf("making the question: %w", err)
	}
	r.Header.Set("Content-Type", "application/ocsp-request")
	r.Header.Set("Accept", "application/ocsp-response")
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers with status %d", responder.Host, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	answer, err := ocsp.ParseResponseForCert(data, e.certificate.Leaf, e.issuer)
	if err != nil {
		return nil, fmt.Errorf("the answer of %s: %w", responder.Host, err)
	}
	return answer, check(answer, time.Now())
}

var errOld = errors.New("the answer is not for now")

// check tells whether an answer holds now.
func check(a *ocsp.Response, now time.Time) error {
	const skew = 5 * time.Minute
	if a.ThisUpdate.After(now.Add(skew)) || !a.NextUpdate.IsZero() && !a.NextUpdate.After(now) {
		return errOld
	}
	if a.Status == ocsp.Unknown {
		return errors.New("the authority does not know the certificate")
	}
	return nil
}
