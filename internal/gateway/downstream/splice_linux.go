// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package downstream

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const canSplice = true

// SendFrom sends n bytes of the body from another connection, without taking them
// out of the kernel. It gives how many were sent; errors.ErrUnsupported comes before
// the first of them.
//
// That of the standard library would do but for its deadlines: one holds for many
// megabytes, the backend's time counts as the client's, and what is on its way when
// it strikes is lost. Here only the client's time counts, and what it takes earns
// more of it. H10
func (s *Stream) SendFrom(from *net.TCPConn, n int64) (int64, error) {
	x, err := newSplicer(from, s.conn.plain)
	if err != nil {
		return 0, errors.ErrUnsupported
	}
	defer x.end()
	sent := int64(0)
	for sent < n {
		if err := x.pull(n - sent); err != nil {
			return sent, err
		}
		for x.held > 0 {
			k, err := s.push(x)
			sent += int64(k)
			if err != nil {
				return sent, err
			}
		}
	}
	return sent, nil
}

// push sends a part of what is held, within the time that the client has for it.
func (s *Stream) push(x *splicer) (int, error) {
	began := time.Now()
	s.conn.write.Within(s.conn.net.SetWriteDeadline, began, s.out.Next())
	k, err := x.push()
	s.sent += int64(k)
	s.out.Note(k, time.Since(began))
	if err != nil {
		s.broken = true
	}
	return k, err
}

// splicer moves bytes from one socket to another through a pipe.
type splicer struct {
	pipe     *pipe
	from, to syscall.RawConn
	// held is how many bytes are in the pipe.
	held int

	most, moved int
	err         error
}

func newSplicer(from, to *net.TCPConn) (*splicer, error) {
	x := &splicer{}
	var err error
	if x.from, err = from.SyscallConn(); err != nil {
		return nil, err
	}
	if x.to, err = to.SyscallConn(); err != nil {
		return nil, err
	}
	x.pipe, err = takePipe()
	return x, err
}

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// pull waits for bytes and takes them into the pipe, at most n.
func (x *splicer) pull(n int64) error {
	x.most = int(min(n, pipeBytes))
	if err := x.from.Read(x.pullOnce); err != nil {
		return err
	}
	if x.err != nil {
		return x.err
	}
	if x.moved == 0 {
		return io.ErrUnexpectedEOF
	}
	x.held += x.moved
	return nil
}

func (x *splicer) pullOnce(fd uintptr) (done bool) { return x.splice(int(fd), x.pipe.in, x.most) }

// push waits until the receiver takes some of what is held.
func (x *splicer) push() (int, error) {
	if err := x.to.Write(x.pushOnce); err != nil {
		return 0, err
	}
	if x.err != nil {
		return 0, x.err
	}
	x.held -= x.moved
	return x.moved, nil
}

func (x *splicer) pushOnce(fd uintptr) (done bool) { return x.splice(x.pipe.out, int(fd), x.held) }

// splice is not done when the socket is not ready.
func (x *splicer) splice(from, to, most int) (done bool) {
	for {
		n, err := unix.Splice(from, nil, to, nil, most, spliceFlags)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		x.moved, x.err = int(max(n, 0)), err
		return true
	}
}

// end keeps the pipe, if nothing is in it.
func (x *splicer) end() {
	if x.held == 0 {
		pipes.Put(x.pipe)
	}
}

// pipeBytes is as much as an unprivileged process may ask a pipe to hold.
const pipeBytes = 1 << 20

// pipe is where bytes are between two sockets. It is closed with the last reference.
type pipe struct{ out, in int }

var pipes sync.Pool

func takePipe() (*pipe, error) {
	if p, ok := pipes.Get().(*pipe); ok {
		return p, nil
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	_, _ = unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, pipeBytes) // a smaller one is only slower
	p := &pipe{out: ends[0], in: ends[1]}
	runtime.AddCleanup(p, func(ends [2]int) {
		_ = unix.Close(ends[0])
		_ = unix.Close(ends[1])
	}, ends)
	return p, nil
}
