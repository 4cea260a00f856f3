// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// recording is a backend that keeps the bytes of each request with a chunked body.
type recording struct {
	address string
	got     chan string
}

func newRecording(t *testing.T) *recording {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	b := &recording{address: l.Addr().String(), got: make(chan string, 16)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(c)
		}
	}()
	return b
}

func (b *recording) serve(c net.Conn) {
	defer c.Close() //nolint:errcheck // a test
	in := bufio.NewReader(c)
	for {
		var request strings.Builder
		for ended := false; ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			request.WriteString(line)
			if line == "0\r\n" {
				ended = true
			}
			if ended && line == "\r\n" {
				break
			}
		}
		b.got <- request.String()
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

func (b *recording) next(t *testing.T) string {
	t.Helper()
	select {
	case s := <-b.got:
		return s
	case <-time.After(patience):
		t.Fatal("the backend got nothing")
		return ""
	}
}

// forged are trailers that say who or where the client is, as a backend may read them.
var forged = []string{
	"X-User-Id", "X_User_Id", "x-user_id", "X-Forwarded-User", "X_Forwarded_User", "Username", "X-Key-Name", "X_key_name",
	"X-Removed", "X_Removed", "X-Forwarded-For", "X_Forwarded_For", "X-Forwarded-Prefix", "Forwarded", "X-Real-IP", "X_Real_IP",
	"X-Client-Identity", "X_Client_Identity", "Authorization", "Cookie", "X-Goma-Hops", "Content-Length", "Host",
}

const identifying = `middlewares:
  - {name: edit, type: requestHeaders, rule: {setHeaders: {X-User-Id: "7"}, removeHeaders: [X-Removed]}}
  - {name: who, type: basicAuth, rule: {users: [{username: ann, password: secret}], forwardUsername: true}}
  - {name: key, type: apiKey, rule: {keys: [{name: blue, key: k1}], nameHeader: X-Key-Name}}
`

// P6, P8: a trailer comes behind all that a middleware has looked at. What tells a
// backend who the client is, or where it is, does not come that way either.
func TestNoTrailerSaysWhoTheClientIs(t *testing.T) {
	t.Parallel()
	far := newRecording(t)
	ca := newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	write(t, file, string(ca.pem))
	path := filepath.Join(t.TempDir(), "goma.yml")
	settings := fmt.Sprintf("  tls: {clientAuth: {clientCA: %q, identityHeader: X-Client-Identity}}\n", file)
	write(t, path, mainFile(settings, routeYAML("a", "/", "http://"+far.address, ", middlewares: [edit, who, key]"))+identifying)
	r := start(t, Options{ConfigFile: path}).waitReady()
	r.untilRoutes("a")
	for name, ask := range map[string]func(*testing.T, string){"HTTP/1.1": withTrailers1, "HTTP/2": withTrailers2} {
		ask(t, r.at.Web)
		request := far.next(t)
		head, rest, _ := strings.Cut(request, "\r\n\r\n")
		_, trailer, ok := strings.Cut(rest, "0\r\n")
		if !ok || trailer != "X-Sum: 1\r\n\r\n" {
			t.Errorf("%s: the trailer is %q", name, trailer)
		}
		if strings.Contains(request, "forged") {
			t.Errorf("%s: the backend read %q", name, request)
		}
		announced := ""
		for line := range strings.SplitSeq(head, "\r\n") {
			if value, ok := strings.CutPrefix(line, "Trailer: "); ok {
				announced += value
			}
		}
		if announced != "X-Sum" {
			t.Errorf("%s: the backend was told of the trailers %q", name, announced)
		}
		for _, want := range []string{"\r\nX-User-Id: 7", "\r\nX-Forwarded-User: ann", "\r\nX-Key-Name: blue"} {
			if !strings.Contains(head, want) {
				t.Errorf("%s: no %q in %q", name, want, head)
			}
		}
	}
}

const basicAnn = "Basic YW5uOnNlY3JldA=="

func withTrailers1(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address) //nolint:noctx // a test
	must(t, err)
	defer c.Close() //nolint:errcheck // a test
	must(t, c.SetDeadline(time.Now().Add(patience)))
	var b strings.Builder
	fmt.Fprintf(&b, "POST / HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\nX-API-Key: k1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, %s\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n",
		basicAnn, strings.Join(forged, ", "))
	for _, name := range forged {
		fmt.Fprintf(&b, "%s: forged\r\n", name)
	}
	_, err = io.WriteString(c, b.String()+"\r\n")
	must(t, err)
	status, err := bufio.NewReader(c).ReadString('\n')
	if must(t, err); !strings.Contains(status, " 200 ") {
		t.Errorf("HTTP/1.1: %s", status)
	}
}

func withTrailers2(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address) //nolint:noctx // a test
	must(t, err)
	defer c.Close() //nolint:errcheck // a test
	must(t, c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, http2.ClientPreface)
	must(t, err)
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	head := []string{":method", "POST", ":scheme", "http", ":authority", "h", ":path", "/", "authorization", basicAnn, "x-api-key", "k1"}
	// The server itself refuses trailers that frame or authenticate.
	names := slices.DeleteFunc(slices.Clone(forged), func(s string) bool { return s == "Content-Length" || s == "Host" || s == "Authorization" })
	head = append(head, "trailer", "X-Sum, "+strings.Join(names, ", "))
	trailer := []string{"x-sum", "1"}
	for _, name := range names {
		trailer = append(trailer, strings.ToLower(name), "forged")
	}
	encode := func(list []string) []byte {
		block.Reset()
		for i := 0; i < len(list); i += 2 {
			must(t, encoder.WriteField(hpack.HeaderField{Name: list[i], Value: list[i+1]}))
		}
		return block.Bytes()
	}
	must(t, f.WriteSettings())
	must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(head), EndHeaders: true}))
	must(t, f.WriteData(1, false, []byte("hello")))
	must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(trailer), EndHeaders: true, EndStream: true}))
	for {
		frame, err := f.ReadFrame()
		must(t, err)
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if status := frame.PseudoValue("status"); status != "200" {
				t.Errorf("HTTP/2: %s", status)
			}
			return
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			t.Fatalf("HTTP/2: %v", frame)
		}
	}
}
