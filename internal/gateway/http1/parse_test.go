// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

var limits = Limits{}.WithDefaults()

// request parses the whole of a text.
func request(text string) (*Request, int, error) {
	var r Request
	n, err := r.Parse([]byte(text), &limits)
	return &r, n, err
}

func TestARequestIsItsParts(t *testing.T) {
	t.Parallel()
	const head = "POST /a%2Fb?c=d HTTP/1.1\r\nHost:  a.test:80 \r\nContent-Length: 5\r\nExpect: 100-Continue\r\n" +
		"Connection: keep-alive, X-Drop\r\nX-Drop: 1\r\nx_forwarded_for: 1\r\nX-Empty:\r\n\r\n"
	r, n, err := request(head + "hello")
	if err != nil || n != len(head) {
		t.Fatal(n, err)
	}
	for what, got := range map[string]string{
		"POST": string(r.Method.Of(r.Bytes)), "/a%2Fb?c=d": string(r.Target.Of(r.Bytes)), "a.test:80": string(r.Host.Of(r.Bytes)),
		"hello": (head + "hello")[n:],
	} {
		if got != what {
			t.Errorf("got %q, want %q", got, what)
		}
	}
	if r.Length != 5 || !r.Continue || r.Close || r.Minor != 1 || r.Upgrade() != nil {
		t.Errorf("%+v", r)
	}
	var ends []string
	for i := range r.Fields {
		if r.EndsHere(&r.Fields[i]) {
			ends = append(ends, r.Fields[i].Name.In(string(r.Bytes)))
		}
	}
	if fmt.Sprint(ends) != "[Connection X-Drop]" || r.Fields[5].ID != Provenance || !r.Fields[6].Value.Empty() {
		t.Errorf("ends here: %v; %+v", ends, r.Fields)
	}
}

func TestAHeadThatIsNotThereYetIsNoError(t *testing.T) {
	t.Parallel()
	const head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for i := range head {
		if _, n, err := request(head[:i]); n != 0 || err != nil {
			t.Errorf("%q: %d, %v", head[:i], n, err)
		}
	}
	if _, n, err := request("\r\n" + head); n != len(head)+2 || err != nil {
		t.Errorf("one empty line before: %d, %v", n, err)
	}
}

func TestConnectionsPersistAsTheVersionSays(t *testing.T) {
	t.Parallel()
	for head, closes := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                         false,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n":                    true,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: ,close,\r\n\r\n": true,
		"GET / HTTP/1.0\r\n\r\n":                                                    true,
		"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n":                          false,
	} {
		if r, _, err := request(head); err != nil || r.Close != closes {
			t.Errorf("%q: %v, %v", head, r.Close, err)
		}
	}
	r, _, err := request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n")
	if err != nil || string(r.Upgrade()) != "WebSocket" {
		t.Errorf("%q, %v", r.Upgrade(), err)
	}
	for _, twice := range []string{"Upgrade: a\r\nUpgrade: b", "Upgrade: a"} {
		if r, _, err := request("GET / HTTP/1.1\r\nHost: a\r\n" + twice + "\r\n\r\n"); err != nil || r.Upgrade() != nil {
			t.Errorf("%s: %q, %v", twice, r.Upgrade(), err)
		}
	}
}

// H1, H3: one message, one meaning.
func TestWhatTwoParsersCouldReadInTwoWaysIsRefused(t *testing.T) {
	t.Parallel()
	fields := func(lines ...string) string {
		return "POST / HTTP/1.1\r\nHost: a\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	const chunked = "Transfer-Encoding: chunked"
	for text, want := range map[string]error{
		fields("Content-Length: 5", chunked):                                   ErrLengthChunked,
		fields(chunked, "Content-Length: 0"):                                   ErrLengthChunked,
		fields("Transfer-Encoding : chunked"):                                  ErrFieldName,
		fields("Transfer-Encoding: xchunked"):                                  ErrCodings,
		fields("Transfer-Encoding: chunked, identity"):                         ErrCodings,
		fields("Transfer-Encoding: chunked, gzip"):                             ErrCodings,
		fields("Transfer-Encoding: gzip,"):                                     ErrCodings,
		fields("Transfer-Encoding: gzip, chunked"):                             ErrCoding,
		fields("Transfer-Encoding: \x0bchunked"):                               ErrFieldValue,
		fields("Transfer-Encoding: \"chunked\""):                               ErrCodings,
		fields("Transfer-Encoding:"):                                           ErrCodings,
		fields(chunked, chunked):                                               ErrCodings,
		fields("Transfer-Encoding:", " chunked"):                               ErrFolded,
		"POST / HTTP/1.0\r\n" + chunked + "\r\n\r\n":                           ErrChunkedOld,
		fields("Content-Length: 5, 5"):                                         ErrLength,
		fields("Content-Length: 5", "Content-Length: 5"):                       ErrLength,
		fields("Content-Length: +5"):                                           ErrLength,
		fields("Content-Length: -1"):                                           ErrLength,
		fields("Content-Length: 0x5"):                                          ErrLength,
		fields("Content-Length: 5 5"):                                          ErrLength,
		fields("Content-Length:"):                                              ErrLength,
		fields("Content-Length: 9223372036854775808"):                          ErrLength,
		fields("Content-Length: 99999999999999999999"):                         ErrLength,
		fields("Host: b"):                                                      ErrHostRepeated,
		fields("X-A: a\x00b"):                                                  ErrFieldValue,
		fields("X-A: a\rb"):                                                    ErrFieldValue,
		fields("X-A: abcdefgh\x7f"):                                            ErrFieldValue,
		fields("X-A: a\nX-B: b"):                                               ErrLineEnd,
		fields("X A: b"):                                                       ErrFieldName,
		fields("X\tA: b"):                                                      ErrFieldName,
		fields(": b"):                                                          ErrFieldName,
		fields("no colon"):                                                     ErrFieldName,
		fields("X-A: b", "\tfolded"):                                           ErrFolded,
		fields("Expect: something"):                                            ErrExpect,
		"GET / HTTP/1.1\r\n\r\n":                                               ErrHostMissing,
		"GET / HTTP/1.1\r\n Host: a\r\n\r\n":                                   ErrFieldName,
		"GET / HTTP/1.1\nHost: a\n\n":                                          ErrLineEnd,
		"GET / HTTP/1.1\r\nHost: a\r\n\n":                                      ErrLineEnd,
		"GET /\r\n\r\n":                                                        ErrRequestLine,
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n":                                   ErrRequestLine,
		"GET / HTTP/1.1 \r\nHost: a\r\n\r\n":                                   ErrRequestLine,
		"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n":                                 ErrRequestLine,
		"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n":                                ErrRequestLine,
		"G(T / HTTP/1.1\r\nHost: a\r\n\r\n":                                    ErrRequestLine,
		" GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                   ErrRequestLine,
		"GET / http/1.1\r\nHost: a\r\n\r\n":                                    ErrRequestLine,
		"GET / HTTP/1.1x\r\nHost: a\r\n\r\n":                                   ErrRequestLine,
		"GET / HTTP/2.0\r\nHost: a\r\n\r\n":                                    ErrVersion,
		"GET / HTTP/1.2\r\nHost: a\r\n\r\n":                                    ErrVersion,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                     ErrVersion,
		"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n":                            ErrRequestLine,
		"GET /" + strings.Repeat("a", 20<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n": ErrLineTooLong,
		"GET /" + strings.Repeat("a", 20<<10):                                  ErrLineTooLong,
		fields("X-A: " + strings.Repeat("a", 70<<10)):                          ErrHeadTooLarge,
		"GET / HTTP/1.1\r\nX-A: " + strings.Repeat("a", 70<<10):                ErrHeadTooLarge,
		fields(strings.Split(strings.Repeat("a: b\n", 300), "\n")...):          ErrTooManyFields,
	} {
		if _, n, err := request(text); !errors.Is(err, want) || n != 0 && want != nil && err == nil {
			t.Errorf("%.80q: %d, %v; want %v", text, n, err, want)
		}
	}
}

// H6: a backend is read as strictly as a client.
func TestAResponseSaysHowItEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, head string
		length       int64
		closes       bool
		err          error
	}{
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5, false, nil},
		{"GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0, false, nil},
		{"GET", "HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n", Chunked, false, nil},
		{"GET", "HTTP/1.1 200 OK\r\n\r\n", UntilClose, true, nil},
		{"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", 5, true, nil},
		{"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n", 5, true, nil},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 0, false, nil},
		{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false, nil},
		{"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 0, false, nil},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0, false, nil},
		{"GET", "HTTP/1.1 103 Early Hints\r\n\r\n", 0, false, nil},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false, ErrLengthChunked},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 0, false, ErrLength},
		{"GET", "HTTP/1.1 200 OK\nContent-Length: 5\n\n", 0, false, ErrLineEnd},
		{"GET", "HTTP/1.1  200 OK\r\n\r\n", 0, false, ErrStatusLine},
		{"GET", "HTTP/1.1 20 OK\r\n\r\n", 0, false, ErrStatusLine},
		{"GET", "HTTP/1.1 2000 OK\r\n\r\n", 0, false, ErrStatusLine},
		{"GET", "HTTP/1.1 099 OK\r\n\r\n", 0, false, ErrStatusLine},
		{"GET", "HTTP/1.1 200 O\x00K\r\n\r\n", 0, false, ErrStatusLine},
		{"GET", "HTTP/2 200 OK\r\n\r\n", 0, false, ErrStatusLine},
		{"GET", "SSH-2.0-OpenSSH\r\n\r\n", 0, false, ErrStatusLine},
	} {
		var r Response
		n, err := r.Parse([]byte(c.head), c.method, &limits)
		if !errors.Is(err, c.err) {
			t.Errorf("%s %q: %v, want %v", c.method, c.head, err, c.err)
			continue
		}
		if err == nil && (n != len(c.head) || r.Length != c.length || r.Close != c.closes || r.HasBody() != (c.length != 0)) {
			t.Errorf("%s %q: %d, %+v", c.method, c.head, n, r)
		}
	}
}

func TestFieldsWithAMeaningAreKnownInEveryCase(t *testing.T) { // P6
	t.Parallel()
	for name, want := range map[string]ID{
		"host": Host, "HOST": Host, "Te": TE, "tE": TE, "content-LENGTH": ContentLength, "Transfer-Encoding": TransferEncoding,
		"Connection": Connection, "keep-Alive": KeepAlive, "Proxy-Connection": ProxyConnection, "proxy-authenticate": ProxyAuthenticate,
		"Proxy-Authorization": ProxyAuthorization, "Trailer": Trailer, "Upgrade": Upgrade, "HTTP2-Settings": HTTP2Settings,
		"Expect": Expect, "Server": Server, "Date": Date, "X-Request-ID": RequestID,
		"Forwarded": Provenance, "X-Forwarded-For": Provenance, "x_forwarded_for": Provenance, "X-Forwarded_Proto": Provenance,
		"X-Forwarded-Prefix": Provenance, "X-Forwarded-Tls-Client-Cert": Provenance, "x-real-ip": Provenance, "X_Real_IP": Provenance,
		"X-Forwarded": Other, "X-Forwardedfor": Other, "Hosts": Other, "": Other, "Cookie": Other, "content_length": Lookalike, "Transfer_Encoding": Lookalike, "content_lengths": Other, "X-Real-IPs": Other,
	} {
		if got := Identify(name); got != want {
			t.Errorf("%q is %d, want %d", name, got, want)
		}
		if got := Identify([]byte(name)); got != want {
			t.Errorf("%q as bytes is %d, want %d", name, got, want)
		}
	}
}

// The parser of the standard library has been attacked for years. What we take, it
// must take too, and understand in the same way.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET http://b/c HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, n, err := request(text)
		if err != nil || n == 0 {
			return
		}
		theirs, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.TrimPrefix(text[:n], "\r\n"))))
		if err != nil {
			// It judges the target and the host too, which are not judged here.
			if !strings.Contains(err.Error(), "parse") && !strings.Contains(err.Error(), "Host") && !strings.Contains(err.Error(), "host") {
				t.Fatalf("we take %q, net/http says %v", text[:n], err)
			}
			return
		}
		if got := string(r.Method.Of(r.Bytes)); got != theirs.Method {
			t.Fatalf("method %q, net/http says %q", got, theirs.Method)
		}
		if got := string(r.Target.Of(r.Bytes)); got != theirs.RequestURI {
			t.Fatalf("target %q, net/http says %q", got, theirs.RequestURI)
		}
		chunked := r.Length == Chunked && len(theirs.TransferEncoding) == 1
		if want := theirs.ContentLength; r.Length != want && !chunked {
			t.Fatalf("length %d, net/http says %d in %q", r.Length, want, text[:n])
		}
		for i := range r.Fields {
			f := &r.Fields[i]
			name, value := string(f.Name.Of(r.Bytes)), string(f.Value.Of(r.Bytes))
			if f.ID == Host || f.ID == TransferEncoding || f.ID == Trailer {
				continue // moved out of the header
			}
			if got := theirs.Header[http.CanonicalHeaderKey(name)]; !contains(got, value) {
				t.Fatalf("%s is %q, net/http has %q", name, value, got)
			}
		}
	})
}

func contains(list []string, value string) bool {
	for _, v := range list {
		if v == value {
			return true
		}
	}
	return false
}

func FuzzResponse(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD")
	f.Fuzz(func(t *testing.T, text, method string) {
		var r Response
		n, err := r.Parse([]byte(text), method, &limits)
		if err != nil || n == 0 {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text[:n])), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("we take %q, net/http says %v", text[:n], err)
		}
		_ = theirs.Body.Close()
		if theirs.StatusCode != r.Status {
			t.Fatalf("status %d, net/http says %d", r.Status, theirs.StatusCode)
		}
	})
}

var typical = []byte("GET /api/v1/users/42?fields=name,email HTTP/1.1\r\nHost: api.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n")

func TestParsingAllocatesNothing(t *testing.T) {
	var r Request
	if n := testing.AllocsPerRun(100, func() {
		if _, err := r.Parse(typical, &limits); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	var r Request
	b.ReportAllocs()
	b.SetBytes(int64(len(typical)))
	for b.Loop() {
		if _, err := r.Parse(typical, &limits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseRequestByNetHTTP(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(typical)))
	reader := bufio.NewReader(nil)
	for b.Loop() {
		reader.Reset(bytes.NewReader(typical))
		if _, err := http.ReadRequest(reader); err != nil {
			b.Fatal(err)
		}
	}
}
