// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package protocols

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gateway.jkaninda.dev/goma/test/peers/program"
)

// ways are the two sides of a gateway between a client and a server of gRPC.
var ways = []struct {
	name string
	// secure is of the entry point, scheme of the backend.
	secure bool
	scheme string
}{
	{"h2c to h2c", false, "h2c"},
	{"TLS to h2c", true, "grpc"},
	{"h2c to TLS", false, "https"},
	{"TLS to TLS", true, "grpcs"},
}

// calling is a client of gRPC behind a gateway.
type calling struct {
	testpb.TestServiceClient

	g      *program.Gateway
	server *calls
}

// route takes calls to a backend.
func callRoute(scheme, address string) string {
	return fmt.Sprintf("{name: all, path: /, target: %q, security: {tls: {insecureSkipVerify: true}}}", scheme+"://"+address)
}

// call connects a client.
func call(t *testing.T, secure bool, scheme string) *calling {
	t.Helper()
	s := serveCalls(t, scheme == "https" || scheme == "grpcs")
	g := serve(t, callRoute(scheme, s.address))
	return &calling{dialCalls(t, g, secure), g, s}
}

func dialCalls(t *testing.T, g *program.Gateway, secure bool, options ...grpc.DialOption) testpb.TestServiceClient {
	t.Helper()
	address, trust := g.Web, insecure.NewCredentials()
	if secure {
		address, trust = g.Secure, credentials.NewTLS(tried())
	}
	options = append(options, grpc.WithTransportCredentials(trust), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	c, err := grpc.NewClient("passthrough:///"+address, options...)
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return testpb.NewTestServiceClient(c)
}

// patient bounds a call by the patience of the test.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), program.Patience)
	t.Cleanup(cancel)
	return ctx
}

func payload(t *testing.T, size int) *testpb.Payload {
	t.Helper()
	body := make([]byte, size)
	_, err := rand.Read(body)
	must(t, err)
	return &testpb.Payload{Body: body}
}

func TestGRPC(t *testing.T) { // G3
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			c := call(t, way.secure, way.scheme)
			t.Run("one message each way", func(t *testing.T) { c.unary(t, 11) })
			t.Run("messages of 4 MiB", func(t *testing.T) { c.unary(t, 4<<20) })
			t.Run("each status, and its message", c.statuses)
			t.Run("a stream of the server", c.output)
			t.Run("a stream of the client", c.input)
			t.Run("a thousand messages, each sent when the one before was answered", c.pingPong)
			t.Run("a deadline", c.deadline)
			t.Run("a call that is given up ends at the server", c.cancel)
			t.Run("a server that goes away", c.away)
		})
	}
}

func (c *calling) unary(t *testing.T, size int) {
	sent := payload(t, size)
	ctx := metadata.AppendToOutgoingContext(patient(t), initialKey, "one", initialKey, "two", trailingKey, "\x00\xff\r\n")
	var header, trailer metadata.MD
	got, err := c.UnaryCall(ctx, &testpb.SimpleRequest{Payload: sent}, grpc.Header(&header), grpc.Trailer(&trailer))
	must(t, err)
	if !bytes.Equal(got.GetPayload().GetBody(), sent.GetBody()) {
		t.Error("the payload is another one")
	}
	if list := header.Get(initialKey); len(list) != 2 || list[0] != "one" || list[1] != "two" {
		t.Errorf("metadata %q", list)
	}
	if list := trailer.Get(trailingKey); len(list) != 1 || list[0] != "\x00\xff\r\n" {
		t.Errorf("trailing metadata %q", list)
	}
}

func (c *calling) statuses(t *testing.T) {
	const message = "a % of ünïcode,\r\n\ttwo lines"
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		var trailer metadata.MD
		ctx := metadata.AppendToOutgoingContext(patient(t), trailingKey, "end")
		_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: int32(code), Message: message}}, grpc.Trailer(&trailer)) //nolint:gosec // small
		if s := status.Convert(err); s.Code() != code || s.Message() != message {
			t.Errorf("%s: %s %q", code, s.Code(), s.Message())
		}
		if list := trailer.Get(trailingKey); len(list) != 1 || list[0] != "end" {
			t.Errorf("%s: trailing metadata %q", code, list)
		}
	}
	_, err := c.UnimplementedCall(patient(t), &testpb.Empty{})
	if code := status.Code(err); code != codes.Unimplemented {
		t.Errorf("a method that there is not: %v", err)
	}
}

func (c *calling) output(t *testing.T) {
	sizes := []int32{31415, 0, 9, 2653, 58979, 1 << 20}
	in := &testpb.StreamingOutputCallRequest{}
	for _, size := range sizes {
		in.ResponseParameters = append(in.ResponseParameters, &testpb.ResponseParameters{Size: size})
	}
	stream, err := c.StreamingOutputCall(metadata.AppendToOutgoingContext(patient(t), trailingKey, "end"), in)
	must(t, err)
	for _, size := range sizes {
		got, err := stream.Recv()
		must(t, err)
		if n := len(got.GetPayload().GetBody()); n != int(size) {
			t.Errorf("%d bytes, want %d", n, size)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
	if list := stream.Trailer().Get(trailingKey); len(list) != 1 || list[0] != "end" {
		t.Errorf("trailing metadata %q", list)
	}
}

func (c *calling) input(t *testing.T) {
	stream, err := c.StreamingInputCall(patient(t))
	must(t, err)
	sum := 0
	for _, size := range []int{27182, 8, 0, 1828, 45904, 1 << 20} {
		sum += size
		must(t, stream.Send(&testpb.StreamingInputCallRequest{Payload: payload(t, size)}))
	}
	got, err := stream.CloseAndRecv()
	must(t, err)
	if int(got.GetAggregatedPayloadSize()) != sum {
		t.Errorf("%d bytes, want %d", got.GetAggregatedPayloadSize(), sum)
	}
}

// exchange sends a message on a stream and waits for the answer.
func exchange(t *testing.T, stream grpc.BidiStreamingClient[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse], text string) {
	t.Helper()
	must(t, stream.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte(text)}}))
	got, err := stream.Recv()
	must(t, err)
	if string(got.GetPayload().GetBody()) != text {
		t.Errorf("%q, want %q", got.GetPayload().GetBody(), text)
	}
}

// ended closes a stream, which must end well.
func ended(t *testing.T, stream grpc.BidiStreamingClient[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) {
	t.Helper()
	must(t, stream.CloseSend())
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func (c *calling) pingPong(t *testing.T) {
	stream, err := c.FullDuplexCall(patient(t))
	must(t, err)
	for i := range 1000 {
		exchange(t, stream, fmt.Sprint("message ", i))
	}
	ended(t, stream)
}

func (c *calling) deadline(t *testing.T) {
	const limit = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_, err := c.EmptyCall(ctx, &testpb.Empty{})
	if code := status.Code(err); code != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
	if d := <-c.server.deadlines; d.IsZero() || time.Until(d) > limit {
		t.Errorf("the server thinks that the call ends at %v", d)
	}
	if err := c.server.end(t); err == nil {
		t.Error("the server's call has not ended")
	}
}

func (c *calling) cancel(t *testing.T) {
	ctx, cancel := context.WithCancel(patient(t))
	stream, err := c.FullDuplexCall(ctx)
	must(t, err)
	exchange(t, stream, "first")
	cancel()
	if err := c.server.end(t); status.Code(err) != codes.Canceled {
		t.Errorf("the server's stream ends with %v", err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("the client's stream ends with %v", err)
	}
}

// away ends the server under a stream, and then calls nobody.
func (c *calling) away(t *testing.T) {
	stream, err := c.FullDuplexCall(patient(t))
	must(t, err)
	exchange(t, stream, "first")
	c.server.server.Stop()
	if _, err := stream.Recv(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a stream whose server has gone ends with %v", err) // H11
	}
	_, err = c.UnaryCall(patient(t), &testpb.SimpleRequest{})
	refused(t, err, codes.Unavailable)
}

// refused demands an answer of the gateway in the form that gRPC has for it.
func refused(t *testing.T, err error, want codes.Code) {
	t.Helper()
	s := status.Convert(err)
	if s.Code() != want || strings.Contains(s.Message(), "unexpected") || strings.Contains(s.Message(), "transport") {
		t.Errorf("%s %q, want %s by grpc-status", s.Code(), s.Message(), want)
	}
}

// What middlewares refuse, and what there is no route for, is a status of gRPC too.
func TestTheGatewaysOwnAnswersToGRPC(t *testing.T) { // G3
	t.Parallel()
	s := serveCalls(t, false)
	g := program.Serve(t, binary, routed(fmt.Sprintf(`
		{name: unary, path: /grpc.testing.TestService/UnaryCall, target: %[1]q, middlewares: [login]}
		{name: empty, path: /grpc.testing.TestService/EmptyCall, target: %[1]q, middlewares: [few]}
		{name: held, path: /grpc.testing.TestService/FullDuplexCall, target: %[1]q, maintenance: {enabled: true, statusCode: 503}}
	`, "h2c://"+s.address), `
		{name: login, type: basic, paths: [/*], rule: {users: [{username: a, password: b}]}}
		{name: few, type: rateLimit, rule: {requestsPerUnit: 1, unit: hour}}
	`))
	for _, secure := range []bool{false, true} {
		c := dialCalls(t, g, secure)
		_, err := c.UnaryCall(patient(t), &testpb.SimpleRequest{})
		refused(t, err, codes.Unauthenticated)
		_, err = c.UnaryCall(metadata.AppendToOutgoingContext(patient(t), "authorization", "Basic YTpi"), &testpb.SimpleRequest{})
		must(t, err)
		stream, err := c.FullDuplexCall(patient(t))
		must(t, err)
		_, err = stream.Recv()
		refused(t, err, codes.Unavailable)
		_, err = c.UnimplementedCall(patient(t), &testpb.Empty{})
		refused(t, err, codes.Unimplemented)
	}
	c := dialCalls(t, g, false)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-s.deadlines; cancel(); <-s.ended }()
	_, err := c.EmptyCall(ctx, &testpb.Empty{})
	if status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	_, err = c.EmptyCall(patient(t), &testpb.Empty{})
	refused(t, err, codes.ResourceExhausted)
}

// The gateway keeps the time of a call, also for clients and backends that do not.
func TestTheGatewayKeepsTheTimeOfACall(t *testing.T) { // G3
	t.Parallel()
	s := serveCalls(t, false)
	left := make(chan struct{})
	hung := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(left)
	}))
	hung.Config.Protocols = overH2C()
	hung.Start()
	t.Cleanup(hung.Close)
	g := serve(t, callRoute("h2c", s.address)+"\n"+fmt.Sprintf("{name: hung, path: /hung, target: %q}", "h2c://"+hung.Listener.Addr().String()))
	client := &http.Client{Transport: &http.Transport{Protocols: overH2C()}}
	for _, path := range []string{"/grpc.testing.TestService/EmptyCall", "/hung"} {
		r, err := http.NewRequestWithContext(patient(t), http.MethodPost, "http://"+g.Web+path, strings.NewReader("\x00\x00\x00\x00\x00"))
		must(t, err)
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
		r.Header.Set("Grpc-Timeout", "200m")
		resp, err := client.Do(r)
		must(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		must(t, err)
		if got := resp.Trailer.Get("Grpc-Status") + resp.Header.Get("Grpc-Status"); got != "4" {
			t.Errorf("%s: status %d, grpc-status %q", path, resp.StatusCode, got)
		}
	}
	<-left
}

func overH2C() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

// end waits for the end of a call at the server.
func (s *calls) end(t *testing.T) (err error) {
	t.Helper()
	select {
	case err = <-s.ended:
		return err
	case <-time.After(program.Patience):
		t.Fatal("the server's call does not end")
	}
	return nil
}

// A stream runs to its end on the routes that it began with, whatever becomes of its
// own.
func TestReloadsCutNoGRPC(t *testing.T) { // G3
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			c := call(t, way.secure, way.scheme)
			stream, err := c.FullDuplexCall(patient(t))
			must(t, err)
			exchange(t, stream, "before")
			own := callRoute(way.scheme, c.server.address)
			for step, routes := range []string{
				own + "\n{name: other, path: /other, target: http://127.0.0.1:1}",
				strings.Replace(own, "path: /", "path: /, priority: 7", 1),
				"{name: all, path: /grpc.testing.TestService, target: http://127.0.0.1:1}",
				"{name: other, path: /other, target: http://127.0.0.1:1}",
				own,
			} {
				c.g.Configure(t, routed(routes, ""))
				if code, body := c.g.Reload(t); code != http.StatusOK {
					t.Fatalf("step %d: %d %s", step, code, body)
				}
				exchange(t, stream, fmt.Sprint("step ", step))
			}
			ended(t, stream)
			_, err = c.UnaryCall(patient(t), &testpb.SimpleRequest{})
			must(t, err)
		})
	}
}

// pings counts those that a client sends, each of which is a write.
type pings struct {
	net.Conn

	sent, answered *atomic.Int64
}

func (p pings) Write(b []byte) (int, error) {
	const head, ping, ack = 9, 6, 1
	if len(b) >= head && b[3] == ping && b[4]&ack == 0 {
		p.sent.Add(1)
	}
	return p.Conn.Write(b)
}

func (p pings) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if p.sent.Load() > p.answered.Load() && n > 0 {
		p.answered.Add(1)
	}
	return n, err
}

// A client that asks now and then whether its connection is alive is no flood: the
// connection stays, with a call on it and without.
func TestKeepalivePingsOfGRPC(t *testing.T) { // G3
	t.Parallel()
	s := serveCalls(t, false)
	g := serve(t, callRoute("h2c", s.address))
	for name, open := range map[string]bool{"with a call": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var dials, sent, answered atomic.Int64
			c := dialCalls(t, g, false,
				grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Second, Timeout: program.Patience, PermitWithoutStream: true}),
				grpc.WithIdleTimeout(0),
				grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
					dials.Add(1)
					conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
					return pings{conn, &sent, &answered}, err
				}))
			ctx, cancel := context.WithTimeout(t.Context(), 3*program.Patience)
			defer cancel()
			_, err := c.UnaryCall(ctx, &testpb.SimpleRequest{})
			must(t, err)
			var stream grpc.BidiStreamingClient[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]
			if open {
				stream, err = c.FullDuplexCall(ctx)
				must(t, err)
				exchange(t, stream, "before")
			}
			for sent.Store(0); sent.Load() < 2 || answered.Load() < 2; time.Sleep(10 * time.Millisecond) { // the library sends one in 10 s
				if ctx.Err() != nil {
					t.Fatalf("%d pings, %d answers", sent.Load(), answered.Load())
				}
			}
			if open {
				exchange(t, stream, "after")
				ended(t, stream)
			}
			_, err = c.UnaryCall(ctx, &testpb.SimpleRequest{})
			must(t, err)
			if n := dials.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}
