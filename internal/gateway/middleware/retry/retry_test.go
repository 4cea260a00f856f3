// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/pool"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

// flaky is a backend that answers one after the other.
type flaky struct {
	mu      sync.Mutex
	answers []http.HandlerFunc
	bodies  []string
	avoided [][]string
}

// ServeHTTP answers; the last answer is for all who come later.
func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r)
	f.mu.Lock()
	number := len(f.bodies)
	f.avoided = append(f.avoided, slices.Clone(x.Avoid))
	f.bodies = append(f.bodies, "")
	answer := f.answers[min(number, len(f.answers)-1)]
	f.mu.Unlock()
	x.Upstream = fmt.Sprintf("http://b%d", number)
	if r.Body != nil {
		data, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.bodies[number] = string(data)
		f.mu.Unlock()
	}
	answer(w, r)
}

func (f *flaky) attempts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.bodies)
}

// answer has a status, a body, and headers as pairs of name and value.
func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// refusal is what the gateway answers in place of a backend.
func refusal(status int, reason string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		exchange.Of(r).Reason = reason
		reply.Error(w, r, status, "")
	}
}

func build(t testing.TB) definition.Build {
	t.Helper()
	return definition.Build{Name: "m", Route: definition.RouteInfo{Name: "shop", Path: "/"}, Pool: pool.New(), Track: t.Cleanup, Counters: counter.New()}
}

func compiled(t testing.TB, b definition.Build, rule string, backend http.Handler) http.Handler {
	t.Helper()
	parsed, problems := parse([]byte(rule))
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	h, err := parsed.Handler(b, backend)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends one request through a handler.
func ask(h http.Handler, r *http.Request) (*httptest.ResponseRecorder, *exchange.Exchange) {
	x := &exchange.Exchange{Path: r.URL.Path}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(exchange.With(r.Context(), x)))
	return w, x
}

func get() *http.Request { return httptest.NewRequest(http.MethodGet, "/", nil) }

func post(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
}

const quick = `"backoff":0,"maxBackoff":0`

func TestAFailureIsNotWhatTheClientGets(t *testing.T) { // U3
	t.Parallel()
	backend := &flaky{answers: []http.HandlerFunc{
		answer(503, "down", "X-Bad", "1", "Etag", `"bad"`), answer(502, "down", "X-Bad", "1"), answer(200, "fine", "X-Good", "1"),
	}}
	w, x := ask(compiled(t, build(t), `{`+quick+`}`, backend), get())
	if w.Code != 200 || w.Body.String() != "fine" || w.Header().Get("X-Good") != "1" || w.Header().Get("X-Bad") != "" || w.Header().Get("Etag") != "" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
	if backend.attempts() != 3 || x.Upstream != "http://b2" || x.Reason != "" || x.Flags&exchange.Retried == 0 {
		t.Errorf("%d attempts, the last one at %s, reason %q", backend.attempts(), x.Upstream, x.Reason)
	}
}

func TestAnotherEndpointIsAskedFor(t *testing.T) { // U3
	t.Parallel()
	backend := &flaky{answers: []http.HandlerFunc{answer(503, ""), answer(503, ""), answer(200, "")}}
	_, x := ask(compiled(t, build(t), `{`+quick+`}`, backend), get())
	if got := fmt.Sprint(backend.avoided); got != "[[] [http://b0] [http://b0 http://b1]]" || x.Avoid != nil {
		t.Errorf("avoided %s, left over %v", got, x.Avoid)
	}
}

func TestOnlyWhatTheRuleListsIsRepeated(t *testing.T) { // U3
	t.Parallel()
	for _, c := range []struct {
		name, rule string
		request    func() *http.Request
		answer     http.HandlerFunc
		attempts   int
	}{
		{"three attempts", ``, get, answer(503, ""), 3},
		{"as many as there may be", `"attempts":5,`, get, answer(503, ""), 5},
		{"once", `"attempts":1,`, get, answer(503, ""), 1},
		{"0 attempts repeat nothing", `"attempts":0,`, get, answer(503, ""), 1},
		{"another status", ``, get, answer(500, ""), 1},
		{"a listed status", `"retryOn":[500],`, get, answer(500, ""), 3},
		{"a range", `"retryOn":["500-599"],`, get, answer(507, ""), 3},
		{"a status that is not listed any more", `"retryOn":[500],`, get, answer(503, ""), 1},
		{"success", `"retryOn":["400-599"],`, get, answer(200, ""), 1},
		{"no connection", ``, get, refusal(502, "upstream_error"), 3},
		{"no connection, not listed", `"retryOn":["500-599"],`, get, refusal(502, "upstream_error"), 1},
		{"a timeout is not repeated by default", ``, get, refusal(504, "upstream_timeout"), 1},
		{"a timeout, listed", `"retryOn":["timeout"],`, get, refusal(504, "upstream_timeout"), 3},
		{"no endpoint", `"retryOn":["500-599","timeout","connectionError"],`, get, refusal(503, "no_endpoint"), 1},
		{"a client that has gone", `"retryOn":["400-599","timeout","connectionError"],`, get, refusal(499, "client_closed"), 1},
		{"a body of the client that is too large", `"retryOn":["400-599"],"methods":["POST"],`, func() *http.Request { return post("x") }, refusal(413, "body_too_large"), 1},
		{"a POST", ``, func() *http.Request { return post("x") }, answer(503, ""), 1},
		{"a POST, listed", `"methods":["post"],`, func() *http.Request { return post("x") }, answer(503, ""), 3},
		{"a GET that is not listed any more", `"methods":["post"],`, get, answer(503, ""), 1},
		{"an upgrade", ``, func() *http.Request { r := get(); r.Header.Set("Upgrade", "websocket"); return r }, answer(503, ""), 1},
		{"an answer that asks for a long pause", ``, get, answer(503, "", "Retry-After", "30"), 1},
		{"an answer that names a time", ``, get, answer(503, "", "Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT"), 1},
		{"an answer that asks for none", ``, get, answer(503, "", "Retry-After", "0"), 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			backend := &flaky{answers: []http.HandlerFunc{c.answer}}
			want := httptest.NewRecorder()
			c.answer(want, get())
			w, _ := ask(compiled(t, build(t), `{`+c.rule+quick+`}`, backend), c.request())
			if backend.attempts() != c.attempts || w.Code != want.Code {
				t.Errorf("%d attempts, want %d; status %d, want %d", backend.attempts(), c.attempts, w.Code, want.Code)
			}
		})
	}
}

func TestTheBodyIsSentAgainWhole(t *testing.T) { // U3
	t.Parallel()
	text := strings.Repeat("0123456789", 100)
	for _, c := range []struct {
		name, size string
		unsaid     bool
		attempts   int
	}{
		{"a body as large as is kept", "1000", false, 3},
		{"a body of unknown size", "1000", true, 3},
		{"a larger body", "999", false, 1},
		{"a larger body of unknown size", "999", true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			backend := &flaky{answers: []http.HandlerFunc{answer(503, "")}}
			r := post(text)
			r.Method = http.MethodPut
			if c.unsaid {
				r.ContentLength = -1
			}
			ask(compiled(t, build(t), `{"maxBodySize":`+c.size+`,`+quick+`}`, backend), r)
			if backend.attempts() != c.attempts {
				t.Errorf("%d attempts, want %d", backend.attempts(), c.attempts)
			}
			for i, body := range backend.bodies {
				if body != text {
					t.Errorf("attempt %d had %d bytes", i+1, len(body))
				}
			}
		})
	}
}

// U3: a backend may answer before it has read all.
func TestABodyThatWasReadInPartIsSentAgainWhole(t *testing.T) {
	t.Parallel()
	var late io.Reader
	number := 0
	h := compiled(t, build(t), `{"methods":["POST"],`+quick+`}`, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if number++; number == 1 {
			_, _ = io.ReadFull(r.Body, make([]byte, 4))
			late = r.Body
			w.WriteHeader(503)
			return
		}
		if n, err := late.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("the attempt that is over reads %d bytes, %v", n, err)
		}
		data, err := io.ReadAll(r.Body)
		if string(data) != "0123456789" || err != nil {
			t.Errorf("%q, %v", data, err)
		}
	}))
	if w, _ := ask(h, post("0123456789")); w.Code != 200 || number != 2 {
		t.Errorf("status %d after %d attempts", w.Code, number)
	}
}

// U3: while an attempt waits for the client's next byte, nobody else can read it.
func TestABodyThatIsBeingReadIsNotSentAgain(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	defer out.Close() //nolint:errcheck // a test
	began, ended := make(chan struct{}), make(chan struct{})
	h := compiled(t, build(t), `{"methods":["POST"],`+quick+`}`, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		go func() {
			defer close(ended)
			_, _ = r.Body.Read(make([]byte, 1))
			close(began)
			_, _ = r.Body.Read(make([]byte, 1))
		}()
		<-began
		b := r.Body.(*reader).replay //nolint:forcetypeassert // what the middleware gives
		for b.mu.TryLock() {         // until the second read waits
			b.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
		w.WriteHeader(503)
	}))
	go func() { _, _ = out.Write([]byte("a")) }()
	r := httptest.NewRequest(http.MethodPost, "/", in)
	if w, _ := ask(h, r); w.Code != 503 {
		t.Errorf("status %d", w.Code)
	}
	_ = out.Close()
	<-ended
}

func TestTheBudgetBoundsHowManyAreRepeated(t *testing.T) { // U3
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := build(t)
		refused, release := b.Counters.Get(repeats, "shop", "budget")
		defer release()
		sent, releaseSent := b.Counters.Get(repeats, "shop", "sent")
		defer releaseSent()
		backend := &flaky{answers: []http.HandlerFunc{answer(503, "")}}
		h := compiled(t, b, `{"attempts":2,"budgetPercent":10,`+quick+`}`, backend)
		const requests = 2000
		for range requests {
			if w, _ := ask(h, get()); w.Code != 503 {
				t.Fatal(w.Code)
			}
		}
		repeated := backend.attempts() - requests
		if most := requests/10 + most/whole; repeated > most || repeated < requests/10 {
			t.Errorf("%d of %d requests are repeated, want at most %d", repeated, requests, most)
		}
		if int(sent.Load()) != repeated || int(refused.Load()) != requests-repeated {
			t.Errorf("counted %d and %d", sent.Load(), refused.Load())
		}
		time.Sleep(time.Minute) // a route with few requests may repeat them again
		before := backend.attempts()
		ask(h, get())
		if backend.attempts() != before+2 {
			t.Error("nothing is repeated after a minute of silence")
		}
	})
}

func TestABudgetOutlivesReloads(t *testing.T) {
	t.Parallel()
	b := build(t)
	one := compiled(t, b, `{}`, http.NotFoundHandler()).(*handler)
	two := compiled(t, b, `{"attempts":5}`, http.NotFoundHandler()).(*handler)
	if one.budget != two.budget {
		t.Error("each change begins with a full budget")
	}
}

func TestPausesGrowAndAreNotAlike(t *testing.T) { // U3
	t.Parallel()
	e := &rule{backoff: 100 * time.Millisecond, maxBackoff: 300 * time.Millisecond}
	for number, longest := range map[int]time.Duration{1: e.backoff, 2: 2 * e.backoff, 3: e.maxBackoff, 9: e.maxBackoff} {
		seen := map[time.Duration]bool{}
		for range 100 {
			pause := e.pauseAfter(number)
			if pause < 0 || pause > longest {
				t.Fatalf("a pause of %v after attempt %d", pause, number)
			}
			seen[pause] = true
		}
		if len(seen) < 50 {
			t.Errorf("after attempt %d there are %d different pauses of 100", number, len(seen))
		}
	}
	if (&rule{}).pauseAfter(1) != 0 {
		t.Error("a rule without pauses waits")
	}
}

func TestNoAttemptBeginsTooLate(t *testing.T) { // U3
	t.Parallel()
	for _, c := range []struct {
		name, rule string
		deadline   time.Duration
		attempts   int
	}{
		{"within the time of the rule", `{"attempts":9,"timeout":"4s",` + quick + `}`, 0, 4},
		{"within the time of the request", `{"attempts":9,"timeout":"1h",` + quick + `}`, 3500 * time.Millisecond, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				backend := &flaky{answers: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
					time.Sleep(time.Second)
					w.WriteHeader(503)
				}}}
				r := get()
				if c.deadline > 0 {
					ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
					defer cancel()
					r = r.WithContext(ctx)
				}
				ask(compiled(t, build(t), c.rule, backend), r)
				if backend.attempts() != c.attempts {
					t.Errorf("%d attempts, want %d", backend.attempts(), c.attempts)
				}
			})
		})
	}
}

func TestAnAttemptThatTakesTooLongIsCut(t *testing.T) { // U3
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			refusal(502, "upstream_error")(w, r)
		}
		backend := &flaky{answers: []http.HandlerFunc{slow, answer(200, "fine")}}
		w, _ := ask(compiled(t, build(t), `{"perTryTimeout":"2s","retryOn":["timeout"],`+quick+`}`, backend), get())
		if w.Code != 200 || w.Body.String() != "fine" {
			t.Errorf("%d %q", w.Code, w.Body)
		}
		began := time.Now()
		backend = &flaky{answers: []http.HandlerFunc{slow}}
		w, x := ask(compiled(t, build(t), `{"perTryTimeout":"2s","retryOn":["timeout"],"attempts":2,`+quick+`}`, backend), get())
		if took := time.Since(began); w.Code != 504 || x.Reason != timedOut || took != 4*time.Second || backend.attempts() != 2 {
			t.Errorf("%d %s after %v and %d attempts", w.Code, x.Reason, took, backend.attempts())
		}
	})
}

// The time is for the head: an answer that has begun takes as long as it takes.
func TestAnAnswerThatHasBegunIsNotCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		backend := &flaky{answers: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "one ")
			time.Sleep(time.Hour)
			if r.Context().Err() == nil {
				_, _ = io.WriteString(w, "two")
			}
		}}}
		if w, _ := ask(compiled(t, build(t), `{"perTryTimeout":"2s"}`, backend), get()); w.Body.String() != "one two" {
			t.Errorf("%q", w.Body)
		}
	})
}

func TestABodyThatNobodyGetsDoesNotHoldUpTheNextAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		number := 0
		h := compiled(t, build(t), `{`+quick+`}`, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if number++; number > 2 {
				_, _ = io.WriteString(w, "fine")
				return
			}
			w.WriteHeader(503)
			if number == 1 {
				<-r.Context().Done() // a backend that does not end its answer
				panic(http.ErrAbortHandler)
			}
			for { // one that never ends
				if _, err := w.Write(make([]byte, 1024)); err != nil {
					panic(http.ErrAbortHandler)
				}
			}
		}))
		began := time.Now()
		if w, _ := ask(h, get()); w.Code != 200 || w.Body.String() != "fine" {
			t.Errorf("%d %q", w.Code, w.Body)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAPanicIsNotHidden(t *testing.T) { // M4
	t.Parallel()
	for name, status := range map[string]int{"of an answer that passes": 200, "of one that is thrown away": 503} {
		h := compiled(t, build(t), `{`+quick+`}`, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			panic("boom")
		}))
		func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Errorf("%s: %v", name, p)
				}
			}()
			ask(h, get())
		}()
	}
}

func TestWhatMiddlewaresBeforeHaveSetStays(t *testing.T) {
	t.Parallel()
	backend := &flaky{answers: []http.HandlerFunc{answer(503, "", "Set-Cookie", "bad=1"), answer(200, "")}}
	h := compiled(t, build(t), `{`+quick+`}`, backend)
	w := httptest.NewRecorder()
	w.Header().Set("Set-Cookie", "seen=1")
	h.ServeHTTP(w, get())
	if got := w.Header()["Set-Cookie"]; !slices.Equal(got, []string{"seen=1"}) {
		t.Errorf("cookies %v", got)
	}
}

func TestPathsLimitIt(t *testing.T) {
	t.Parallel()
	b := build(t)
	b.Paths = []string{"/docs"}
	backend := &flaky{answers: []http.HandlerFunc{answer(503, "")}}
	ask(compiled(t, b, `{`+quick+`}`, backend), get())
	if backend.attempts() != 1 {
		t.Error("another path is repeated")
	}
}

func TestARuleThatCannotBeMeantIsRefused(t *testing.T) { // C6
	t.Parallel()
	for rule, want := range map[string]string{
		`{"attempts":11}`: "rule.attempts", `{"attempts":-1}`: "rule.attempts", `{"attempts":"three"}`: "rule.attempts",
		`{"budgetPercent":101}`: "rule.budgetPercent", `{"perTryTimeout":"soon"}`: "rule.perTryTimeout", `{"timeout":0}`: "rule.timeout",
		`{"backoff":"2m"}`: "rule.backoff", `{"backoff":"1s","maxBackoff":"10ms"}`: "rule.maxBackoff", `{"retryOn":[503,"5xx"]}`: "rule.retryOn[1]",
		`{"retryOn":[200]}`: "rule.retryOn[0]", `{"retryOn":["504-502"]}`: "rule.retryOn[0]", `{"methods":["G T"]}`: "rule.methods[0]",
		`{"methods":["CONNECT"]}`: "rule.methods[0]", `{"maxBodySize":"2Mi"}`: "rule.maxBodySize", `{"maxBodySize":"some"}`: "rule.maxBodySize",
	} {
		if parsed, problems := parse([]byte(rule)); parsed != nil || len(problems) != 1 || problems[0].Field != want {
			t.Errorf("%s: %v", rule, problems)
		}
	}
	if parsed, problems := parse([]byte(`{"backoff":"2s","retryOn":["ConnectionError"," 502 - 504 "]}`)); parsed == nil || len(problems) != 0 {
		t.Error(problems)
	}
}

// FuzzReplay reads a body in two attempts, each in pieces of its own.
func FuzzReplay(f *testing.F) {
	f.Add([]byte("0123456789"), uint8(3), uint8(7), uint8(16))
	f.Fuzz(func(t *testing.T, body []byte, first, piece, limit uint8) {
		b := &replay{src: io.NopCloser(bytes.NewReader(body)), limit: int(limit)}
		n, _ := io.ReadFull(b.reader(), make([]byte, first))
		if !b.release(func() bool { return true }) {
			if n <= int(limit) && len(body) <= int(limit) {
				t.Fatalf("%d of %d bytes, of which %d are kept, cannot be read again", n, len(body), limit)
			}
			return
		}
		got, err := io.ReadAll(onePiece{b.reader(), int(piece) + 1})
		if !bytes.Equal(got, body) || err != nil {
			t.Fatalf("%q of %q, %v", got, body, err)
		}
	})
}

type onePiece struct {
	io.Reader
	size int
}

func (o onePiece) Read(p []byte) (int, error) { return o.Reader.Read(p[:min(len(p), o.size)]) }

func BenchmarkAttempt(b *testing.B) {
	h := compiled(b, build(b), `{}`, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }))
	r := get()
	r = r.WithContext(exchange.With(r.Context(), &exchange.Exchange{Path: "/"}))
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
