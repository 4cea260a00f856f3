// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package passthrough

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/limit"
)

// maxDatagram is the largest there can be.
const maxDatagram = 64 << 10

// quietTime is how long a session must be quiet to end while the port drains.
const quietTime = time.Second

// sessions is a UDP port that has been taken. A session is an address of a client
// and a socket of its own to the target, by which answers are told apart.
type sessions struct {
	port *port
	conn *net.UDPConn
	full limit.Throttle

	mu sync.Mutex

	byPeer map[peer]*session
	// young are the sessions in which the client has not come back after an answer,
	// oldest first. Addresses of clients can be forged, and those that are never
	// come back, so they have to make room when there are too many.
	young    *list.List
	draining bool
	running  sync.WaitGroup
}

func newSessions(p *port, conn *net.UDPConn) *sessions {
	askLocal(conn)
	return &sessions{port: p, conn: conn, byPeer: map[peer]*session{}, young: list.New()}
}

// peer is a client, and the address of ours that it sends to, where that is known.
type peer struct {
	client netip.AddrPort
	local  netip.Addr
}

func (s *sessions) address() string { return s.conn.LocalAddr().String() }

// changed ends all sessions: the next datagram of each client goes to where the
// new rule says.
func (s *sessions) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.byPeer {
		s.removeLocked(x)
	}
}

// release ends all sessions too: their answers would leave by the port.
func (s *sessions) release() {
	_ = s.conn.Close()
	s.changed()
}

// serve implements listener. When the context ends, the sessions that there are go
// on until they are quiet.
func (s *sessions) serve(ctx context.Context) error {
	unhookDrain := context.AfterFunc(ctx, s.drain)
	defer unhookDrain()
	unhook := context.AfterFunc(s.port.server.ctx, s.release)
	defer unhook()
	defer s.running.Wait()
	defer s.release()
	buffer, control := make([]byte, maxDatagram), make([]byte, controlSize)
	for {
		n, c, _, client, err := s.conn.ReadMsgUDPAddrPort(buffer, control)
		if err == nil {
			s.take(buffer[:n], peer{client, localOf(control[:c])})
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) || !passing(err) {
			return fmt.Errorf("receiving: %w", err)
		}
	}
}

// take hands a datagram to its session, or begins one.
func (s *sessions) take(data []byte, from peer) {
	meter := s.port.meter
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.byPeer[from]
	if !ok {
		if x = s.beginLocked(from); x == nil {
			meter.refused[refusedFull].Add()
			return
		}
	}
	meter.bytes[received].AddN(int64(len(data)))
	if x.answered && x.place != nil { // it has come back
		s.young.Remove(x.place)
		x.place = nil
	}
	x.send(data)
}

// beginLocked makes a session; nil means that there is no room for one.
func (s *sessions) beginLocked(from peer) *session {
	o := &s.port.server.o
	if s.draining {
		return nil
	}
	most := cmp.Or(s.port.rule.Load().MaxConns, o.MaxSessions)
	if len(s.byPeer) >= most {
		oldest := s.young.Front()
		if n := s.full.Say(); n > 0 {
			s.port.server.log.Warn("there are too many UDP sessions", "port", s.port.key.String(), "limit", most, "times", n)
		}
		if oldest == nil {
			return nil
		}
		s.removeLocked(oldest.Value.(*session))
	}
	rule := s.port.rule.Load()
	x := &session{owner: s, peer: from, control: controlFor(from.local), rule: rule}
	x.touch()
	x.ctx, x.cancel = context.WithCancel(s.port.server.ctx)
	s.byPeer[from] = x
	x.place = s.young.PushBack(x)
	s.port.meter.begin()
	s.running.Go(x.run)
	return x
}

// answer sends a datagram of the target to a client, who may come back as soon as
// it is there.
func (s *sessions) answer(x *session, data []byte) error {
	s.mu.Lock()
	x.answered = true
	s.mu.Unlock()
	if _, _, err := s.conn.WriteMsgUDPAddrPort(data, x.control, x.peer.client); err != nil && !passing(err) {
		return err
	}
	s.port.meter.bytes[sent].AddN(int64(len(data)))
	return nil
}

// remove ends a session, if it has not been already.
func (s *sessions) remove(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(x)
}

func (s *sessions) removeLocked(x *session) {
	if s.byPeer[x.peer] != x {
		return
	}
	delete(s.byPeer, x.peer)
	if x.place != nil {
		s.young.Remove(x.place)
		x.place = nil
	}
	x.cancel()
	s.port.meter.end()
}

// drain lets the sessions that there are end when they are quiet. The port is closed
// with the last one.
func (s *sessions) drain() {
	s.refuse()
	s.running.Wait()
	_ = s.conn.Close()
}

// refuse begins no more sessions, and hurries those that there are.
func (s *sessions) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for _, x := range s.byPeer {
		x.hurry()
	}
}

func (s *sessions) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}
