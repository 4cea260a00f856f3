// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

// tunnel joins the two connections after an upgrade to the protocol got, until both
// sides have said all they have to say. H5
func tunnel(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, got string, header http.Header, backend io.ReadWriteCloser) {
	copyHeader(w.Header(), header)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		fail(w, r, x, err)
		return
	}
	defer client.Close() //nolint:errcheck // a tunnel has no good end to report
	h := w.Header()
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{got}
	head := &http.Response{StatusCode: http.StatusSwitchingProtocols, ProtoMajor: 1, ProtoMinor: 1, Header: h}
	if head.Write(buffered) != nil || buffered.Flush() != nil {
		x.Reason = reasonClientGone
		return
	}
	x.Flags |= exchange.Upgraded
	x.Received, x.Sent = join(struct {
		io.Reader // has what the client sent ahead
		io.WriteCloser
	}{buffered, halves{client}}, backend, halfClosedTimeout)
}

// halves lets one half of a connection be closed through a wrapper.
type halves struct{ io.WriteCloser }

// CloseWrite ends what the gateway sends.
func (h halves) CloseWrite() error { return closeWrite(h.WriteCloser) }

// halfClosedTimeout is how long a tunnel may be silent once one side has ended its
// half. A client that is gone looks like one that is done with sending; nothing
// else would end its tunnel to a backend that has nothing to say.
const halfClosedTimeout = 5 * time.Minute

// join copies both ways, and counts. When one side has ended its half the other is
// told, and may finish; when a copy breaks, both end.
func join(client, backend io.ReadWriteCloser, silence time.Duration) (received, sent int64) {
	var idle atomic.Pointer[time.Timer]
	end := sync.OnceFunc(func() {
		_ = client.Close()
		_ = backend.Close()
	})
	defer end()
	done := make(chan error, 2)
	go func() { done <- transfer(backend, client, &received, &idle, silence) }()
	go func() { done <- transfer(client, backend, &sent, &idle, silence) }()
	if err := <-done; err == nil {
		timer := time.AfterFunc(silence, end)
		defer timer.Stop()
		idle.Store(timer)
	} else {
		end()
	}
	<-done //nolint:errcheck // one error is enough to know that it is over
	return received, sent
}

const tunnelBytes = 8 << 10

var tunnelBuffers = sync.Pool{New: func() any { return new([tunnelBytes]byte) }}

// transfer copies one way and passes the end on.
func transfer(to io.WriteCloser, from io.Reader, count *int64, idle *atomic.Pointer[time.Timer], silence time.Duration) error {
	buffer := tunnelBuffers.Get().(*[tunnelBytes]byte) //nolint:forcetypeassert // there is nothing else in it
	defer tunnelBuffers.Put(buffer)
	for {
		n, err := from.Read(buffer[:])
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
			*count += int64(n)
			if timer := idle.Load(); timer != nil {
				timer.Reset(silence)
			}
		}
		if err == io.EOF {
			return closeWrite(to)
		}
		if err != nil {
			return err
		}
	}
}

// closeWrite ends one half of a connection; one that has no halves ends whole.
func closeWrite(c io.Closer) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
