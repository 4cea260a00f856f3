// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package protocols

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Metadata that the server sends back, at the begin and at the end of its answer.
const (
	initialKey  = "x-goma-initial"
	trailingKey = "x-goma-trailing-bin"
)

// calls is a server of gRPC: what it is sent it sends back.
type calls struct {
	testpb.UnimplementedTestServiceServer

	server  *grpc.Server
	address string
	// deadlines has when the calls of EmptyCall are to end, which waits for that.
	deadlines chan time.Time
	// ended has why a call of EmptyCall, or a stream, has ended.
	ended chan error
}

// serveCalls starts a server, with TLS or without.
func serveCalls(t *testing.T, secure bool) *calls {
	t.Helper()
	s := &calls{deadlines: make(chan time.Time, 1), ended: make(chan error, 1)}
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(16 << 20)}
	if secure {
		lent := httptest.NewUnstartedServer(nil)
		lent.StartTLS()
		certificate := lent.TLS.Certificates[0]
		lent.Close()
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.server, s.address = grpc.NewServer(options...), l.Addr().String()
	testpb.RegisterTestServiceServer(s.server, s)
	done := make(chan error, 1)
	go func() { done <- s.server.Serve(l) }()
	t.Cleanup(func() {
		s.server.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return s
}

// EmptyCall does nothing until its context ends.
func (s *calls) EmptyCall(ctx context.Context, _ *testpb.Empty) (*testpb.Empty, error) {
	deadline, _ := ctx.Deadline()
	s.deadlines <- deadline
	<-ctx.Done()
	s.ended <- ctx.Err()
	return nil, status.FromContextError(ctx.Err()).Err()
}

// echoed sends the metadata back that a call came with.
func echoed(ctx context.Context) (header, trailer metadata.MD) {
	in, _ := metadata.FromIncomingContext(ctx)
	header, trailer = metadata.MD{}, metadata.MD{}
	for key, md := range map[string]metadata.MD{initialKey: header, trailingKey: trailer} {
		if values := in.Get(key); len(values) > 0 {
			md.Append(key, values...)
		}
	}
	return header, trailer
}

// UnaryCall sends the payload back, or the status that was asked for.
func (s *calls) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	header, trailer := echoed(ctx)
	if err := errors.Join(grpc.SetHeader(ctx, header), grpc.SetTrailer(ctx, trailer)); err != nil {
		return nil, err
	}
	if want := in.GetResponseStatus(); want.GetCode() != 0 {
		return nil, status.Error(codes.Code(want.GetCode()), want.GetMessage()) //nolint:gosec // one of gRPC's
	}
	return &testpb.SimpleResponse{Payload: in.GetPayload()}, nil
}

// StreamingOutputCall sends as many messages as there are parameters, each as large as
// its one says.
func (s *calls) StreamingOutputCall(in *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	header, trailer := echoed(stream.Context())
	if err := stream.SetHeader(header); err != nil {
		return err
	}
	stream.SetTrailer(trailer)
	for _, p := range in.GetResponseParameters() {
		if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	return nil
}

// StreamingInputCall tells the size of all that it was sent.
func (s *calls) StreamingInputCall(stream grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	size := 0
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(size)}) //nolint:gosec // small
		}
		if err != nil {
			return err
		}
		size += len(in.GetPayload().GetBody())
	}
}

// FullDuplexCall answers each message before it takes the next one.
func (s *calls) FullDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			select {
			case s.ended <- err:
			default: // nobody asks
			}
			return err
		}
		if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: in.GetPayload()}); err != nil {
			return err
		}
	}
}
