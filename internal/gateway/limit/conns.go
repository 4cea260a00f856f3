// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"net/netip"
	"sync"
)

// Conns counts the connections of a listener, in all and for each address of a
// client, and says when there are too many: what strangers make us hold has a bound.
// H9
type Conns struct {
	mu sync.Mutex

	most, each int
	open       int
	clients    map[netip.Addr]int
}

// NewConns admits no more than most connections, and each of one client.
func NewConns(most, each int) *Conns {
	return &Conns{most: most, each: min(each, most), clients: map[netip.Addr]int{}}
}

// Bound changes the bounds for connections to come.
func (c *Conns) Bound(most, each int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most, c.each = most, min(each, most)
}

// Verdict is what becomes of a connection.
type Verdict uint8

// The verdicts.
const (
	// Admitted: the connection counts until Leave.
	Admitted Verdict = iota
	// TooMany: there are as many as there may be.
	TooMany
	// TooManyOfClient: the client has as many as it may have.
	TooManyOfClient
)

// Client gives the address under which connections are counted: with IPv6 that of
// the network, since a client has as many addresses in it as it likes.
func Client(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// Enter asks for a connection from a Client. The zero address is nobody's: it has no
// bound of its own.
func (c *Conns) Enter(client netip.Addr) Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.open >= c.most:
		return TooMany
	case client.IsValid() && c.clients[client] >= c.each:
		return TooManyOfClient
	}
	c.add(client)
	return Admitted
}

// Name counts an admitted connection, which was nobody's, as that of a client. It is
// false when the client has as many as it may have: the connection stays nobody's.
func (c *Conns) Name(client netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !client.IsValid() {
		return true
	}
	if c.clients[client] >= c.each {
		return false
	}
	c.clients[client]++
	return true
}

// Stay counts a connection once more, whatever there are, so that what goes on with it
// can Leave on its own.
func (c *Conns) Stay(client netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(client)
}

func (c *Conns) add(client netip.Addr) {
	c.open++
	if client.IsValid() {
		c.clients[client]++
	}
}

// Leave is when a connection that was admitted has ended.
func (c *Conns) Leave(client netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if !client.IsValid() {
		return
	}
	if c.clients[client]--; c.clients[client] <= 0 {
		delete(c.clients, client)
	}
}

// Open gives how many there are, and of how many clients.
func (c *Conns) Open() (conns, clients int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, len(c.clients)
}

// The bounds of a listener for which none are configured.
const (
	defaultConns = 16384
	// share is the part that one client may have of them, so that none can take all.
	share = 4
)

// DefaultConns completes the bounds of a listener: there are no more connections than
// a good part of the files that may be open, since each needs another one to a
// backend, and a client has a quarter.
func DefaultConns(most, each int) (int, int) {
	if most <= 0 {
		most = defaultConns
		if files := openFiles(); files > 0 {
			most = max(min(most, files*2/5), 16)
		}
	}
	if each <= 0 {
		each = max(most/share, 1)
	}
	return most, min(each, most)
}
