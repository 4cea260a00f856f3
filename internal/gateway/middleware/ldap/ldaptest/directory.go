// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package ldaptest is a small directory for tests that need one within the process.
// It answers simple binds and searches by one filter, and counts them; whatever a
// real directory does beyond that is tested with one.
package ldaptest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// Directory listens on a port of its own until Close.
type Directory struct {
	// URL is where it listens, as ldap://127.0.0.1:port.
	URL string
	// Binds and Searches count the questions.
	Binds, Searches, Connections atomic.Int32
	// Passwords are those of the entries by their names; Filters are the names of
	// the entries that a filter finds.
	Passwords map[string]string
	Filters   map[string][]string
	// Result, if not 0, is the answer to every search.
	Result atomic.Int32

	listener net.Listener
	group    sync.WaitGroup
	mu       sync.Mutex

	conns map[net.Conn]bool
}

// New starts a directory with one user, ann, whose password is a.
func New() *Directory {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	d := &Directory{
		URL: "ldap://" + l.Addr().String(), listener: l, conns: map[net.Conn]bool{},
		Passwords: map[string]string{"uid=ann,dc=test": "a"}, Filters: map[string][]string{"(uid=ann)": {"uid=ann,dc=test"}},
	}
	d.group.Go(d.accept)
	return d
}

// Close stops it and waits for what runs.
func (d *Directory) Close() {
	_ = d.listener.Close()
	d.Drop()
	d.group.Wait()
}

// Drop closes every connection, as a restart does.
func (d *Directory) Drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		_ = c.Close()
	}
}

func (d *Directory) accept() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.Connections.Add(1)
		d.mu.Lock()
		d.conns[c] = true
		d.mu.Unlock()
		d.group.Go(func() { d.serve(c) })
	}
}

func (d *Directory) serve(c net.Conn) {
	defer func() {
		d.mu.Lock()
		delete(d.conns, c)
		d.mu.Unlock()
		_ = c.Close()
	}()
	for {
		p, err := ber.ReadPacket(c)
		if err != nil || len(p.Children) < 2 {
			return
		}
		id, operation := p.Children[0].Value.(int64), p.Children[1]
		switch operation.Tag {
		case ldap.ApplicationBindRequest:
			d.Binds.Add(1)
			err = answer(c, id, ldap.ApplicationBindResponse, d.bind(operation))
		case ldap.ApplicationSearchRequest:
			d.Searches.Add(1)
			err = d.search(c, id, operation)
		default:
			return
		}
		if err != nil {
			return
		}
	}
}

// bind answers as servers do that allow anonymous binds: an empty password is good.
func (d *Directory) bind(operation *ber.Packet) uint16 {
	name, _ := operation.Children[1].Value.(string)
	password := operation.Children[2].Data.String()
	if password == "" || d.Passwords[name] == password {
		return ldap.LDAPResultSuccess
	}
	return ldap.LDAPResultInvalidCredentials
}

func (d *Directory) search(c net.Conn, id int64, operation *ber.Packet) error {
	filter, err := ldap.DecompileFilter(operation.Children[6])
	if err != nil {
		return err
	}
	for _, name := range d.Filters[filter] {
		entry := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "entry")
		entry.AppendChild(octets(name))
		entry.AppendChild(ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "attributes"))
		if err := send(c, id, entry); err != nil {
			return err
		}
	}
	return answer(c, id, ldap.ApplicationSearchResultDone, uint16(d.Result.Load())) //nolint:gosec // a result code
}

func answer(c net.Conn, id int64, tag ber.Tag, code uint16) error {
	operation := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "result")
	operation.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(code), "code"))
	operation.AppendChild(octets(""))
	operation.AppendChild(octets(""))
	return send(c, id, operation)
}

func octets(text string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, text, "text")
}

func send(c net.Conn, id int64, operation *ber.Packet) error {
	message := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "message")
	message.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, "id"))
	message.AppendChild(operation)
	_, err := c.Write(message.Bytes())
	return err
}
