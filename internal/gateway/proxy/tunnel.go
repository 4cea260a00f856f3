// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"io"
	"net"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// tunnel joins the two connections after an upgrade, until both sides have said
// all they have to say. An upgrade that nobody asked for is a malformed answer. H5
func tunnel(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, out *http.Request, resp *http.Response) {
	defer resp.Body.Close() //nolint:errcheck // a tunnel has no good end to report
	backend, ok := resp.Body.(io.ReadWriteCloser)
	asked, got := out.Header.Get("Upgrade"), resp.Header.Get("Upgrade")
	if !ok || asked == "" || !strings.EqualFold(asked, got) {
		fail(w, r, x, errUnsolicited)
		return
	}
	copyHeader(w.Header(), resp.Header)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		fail(w, r, x, err)
		return
	}
	defer client.Close() //nolint:errcheck // as above
	h := w.Header()
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{got}
	head := &http.Response{
		StatusCode: http.StatusSwitchingProtocols, ProtoMajor: 1, ProtoMinor: 1, Header: h,
	}
	if err := head.Write(buffered); err != nil {
		return
	}
	if err := buffered.Flush(); err != nil {
		return
	}
	join(client, buffered.Reader, backend)
}

const errUnsolicited = proxyError("the backend switched to a protocol that was not asked for")

type proxyError string

func (e proxyError) Error() string { return string(e) }

// join copies both ways. When one side has ended its half the other is told, and
// may finish; when a copy breaks, both end. from holds what the client sent ahead.
func join(client net.Conn, from io.Reader, backend io.ReadWriteCloser) {
	done := make(chan error, 2)
	go func() {
		_, err := io.Copy(backend, from)
		if err == nil {
			err = closeWrite(backend)
		}
		done <- err
	}()
	go func() {
		_, err := io.Copy(client, backend)
		if err == nil {
			err = closeWrite(client)
		}
		done <- err
	}()
	if err := <-done; err == nil {
		<-done
		return
	}
	_ = client.Close()
	_ = backend.Close()
	<-done
}

// closeWrite ends one half of a connection; one that has no halves ends whole.
func closeWrite(c io.Closer) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
