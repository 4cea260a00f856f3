// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1" //nolint:gosec // the names of git's objects; who sends them is checked by TLS or ssh
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// oid is the name of an object: the SHA-1 of its content.
type oid [sha1.Size]byte

func (o oid) String() string { return hex.EncodeToString(o[:]) }

func parseOID(s string) (oid, bool) {
	var o oid
	data, err := hex.DecodeString(s)
	if err != nil || len(data) != len(o) {
		return o, false
	}
	copy(o[:], data)
	return o, true
}

// object is a commit, a tree, a blob or a tag.
type object struct {
	kind byte
	data []byte
}

// The types of objects in a pack.
const (
	kindCommit   = 1
	kindTree     = 2
	kindBlob     = 3
	kindTag      = 4
	kindOfsDelta = 6
	kindRefDelta = 7
)

var kindNames = map[byte]string{kindCommit: "commit", kindTree: "tree", kindBlob: "blob", kindTag: "tag"}

// Limits of what is taken from a server, whatever it says. S4
const (
	maxPackBytes = 64 << 20  // as it comes
	maxUnpacked  = 128 << 20 // of all objects
	maxObjects   = 1 << 20
)

var (
	errTooLarge = fmt.Errorf("the repository is too large: more than %d MiB come, or they unpack to more than %d MiB; "+
		"keep the configuration in a repository of its own", maxPackBytes>>20, maxUnpacked>>20)
	errBadPack = errors.New("the server sent a pack that is damaged")
)

// counted reads bytes one by one as well, counts them, and keeps their hash.
type counted struct {
	r       *bufio.Reader
	sum     hash.Hash
	pending []byte
	n       int64
}

func (c *counted) ReadByte() (byte, error) {
	if c.n >= maxPackBytes {
		return 0, errTooLarge
	}
	b, err := c.r.ReadByte()
	if err != nil {
		return 0, err
	}
	c.n++
	if c.pending = append(c.pending, b); len(c.pending) == cap(c.pending) {
		c.flush()
	}
	return b, nil
}

func (c *counted) Read(p []byte) (int, error) {
	if c.n >= maxPackBytes {
		return 0, errTooLarge
	}
	n, err := c.r.Read(p[:min(int64(len(p)), maxPackBytes-c.n)])
	c.flush()
	c.sum.Write(p[:n])
	c.n += int64(n)
	return n, err
}

func (c *counted) flush() {
	c.sum.Write(c.pending)
	c.pending = c.pending[:0]
}

// unpacker reads one pack.
type unpacker struct {
	in       *counted
	inflate  io.ReadCloser
	unpacked int64
	objects  map[oid]object

	// What follows is for deltas: the objects by their place, and which deltas wait
	// for which.
	at         map[int64]object
	waitsAt    map[int64][]delta
	waitsFor   map[oid][]delta
	unresolved int
}

// delta is an object that is told by its difference from another.
type delta struct {
	at   int64
	data []byte
}

// unpack reads a pack to its end and gives its objects.
func unpack(r io.Reader) (map[oid]object, error) {
	u := &unpacker{
		in:      &counted{r: bufio.NewReaderSize(r, 64<<10), sum: sha1.New(), pending: make([]byte, 0, 4096)}, //nolint:gosec // see above
		objects: map[oid]object{}, at: map[int64]object{}, waitsAt: map[int64][]delta{}, waitsFor: map[oid][]delta{},
	}
	var head [12]byte
	if _, err := io.ReadFull(u.in, head[:]); err != nil {
		return nil, noEOF(err)
	}
	version, count := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	if string(head[:4]) != "PACK" || version != 2 && version != 3 {
		return nil, errBadPack
	}
	if count > maxObjects {
		return nil, errTooLarge
	}
	for range count {
		if err := u.entry(); err != nil {
			return nil, noEOF(err)
		}
	}
	if u.unresolved > 0 {
		return nil, errBadPack
	}
	u.in.flush()
	have, want := u.in.sum.Sum(nil), make([]byte, sha1.Size)
	if _, err := io.ReadFull(u.in.r, want); err != nil {
		return nil, noEOF(err)
	}
	if !bytes.Equal(have, want) {
		return nil, errBadPack
	}
	return u.objects, nil
}

// entry reads one object or delta.
func (u *unpacker) entry() error {
	at := u.in.n
	kind, size, err := u.header()
	if err != nil {
		return err
	}
	var base oid
	var baseAt int64
	switch kind {
	case kindCommit, kindTree, kindBlob, kindTag:
	case kindOfsDelta:
		distance, err := u.distance()
		if err != nil {
			return err
		}
		if baseAt = at - distance; distance <= 0 || baseAt < 12 {
			return errBadPack
		}
	case kindRefDelta:
		if _, err := io.ReadFull(u.in, base[:]); err != nil {
			return err
		}
	default:
		return errBadPack
	}
	data, err := u.content(size)
	if err != nil {
		return err
	}
	switch kind {
	case kindOfsDelta:
		if o, ok := u.at[baseAt]; ok {
			return u.apply(o, delta{at, data})
		}
		u.waitsAt[baseAt] = append(u.waitsAt[baseAt], delta{at, data})
		u.unresolved++
	case kindRefDelta:
		if o, ok := u.objects[base]; ok {
			return u.apply(o, delta{at, data})
		}
		u.waitsFor[base] = append(u.waitsFor[base], delta{at, data})
		u.unresolved++
	default:
		return u.add(at, object{kind, data})
	}
	return nil
}

// header reads the type and the size of an entry.
func (u *unpacker) header() (kind byte, size int64, err error) {
	b, err := u.in.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	kind, size = b>>4&7, int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = u.in.ReadByte(); err != nil {
			return 0, 0, err
		}
		if shift > 40 {
			return 0, 0, errBadPack
		}
		size |= int64(b&0x7f) << shift
	}
	return kind, size, nil
}

// distance reads how far before an entry its base is.
func (u *unpacker) distance() (int64, error) {
	var n int64
	for i := 0; ; i++ {
		b, err := u.in.ReadByte()
		if err != nil {
			return 0, err
		}
		if i > 6 {
			return 0, errBadPack
		}
		n |= int64(b & 0x7f)
		if b&0x80 == 0 {
			return n, nil
		}
		n = (n + 1) << 7
	}
}

// content inflates what must have the given size. Memory grows with what has come,
// not with what was promised.
func (u *unpacker) content(size int64) ([]byte, error) {
	if err := u.grow(size); err != nil {
		return nil, err
	}
	if u.inflate == nil {
		r, err := zlib.NewReader(u.in)
		if err != nil {
			return nil, damaged(err)
		}
		u.inflate = r
	} else if err := u.inflate.(zlib.Resetter).Reset(u.in, nil); err != nil {
		return nil, damaged(err)
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(u.inflate, size+1))
	if err != nil {
		return nil, damaged(err)
	}
	if n != size {
		return nil, errBadPack
	}
	return out.Bytes(), nil
}

// damaged tells mistakes of the compression from those of the connection.
func damaged(err error) error {
	if errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrChecksum) || errors.Is(err, zlib.ErrDictionary) {
		return errBadPack
	}
	return err
}

func (u *unpacker) grow(size int64) error {
	if size < 0 || size > maxUnpacked-u.unpacked {
		return errTooLarge
	}
	u.unpacked += size
	return nil
}

// add takes an object, and then those that waited for it.
func (u *unpacker) add(at int64, o object) error {
	type placed struct {
		at int64
		object
	}
	for queue := []placed{{at, o}}; len(queue) > 0; {
		p := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		name := nameOf(p.object)
		u.objects[name], u.at[p.at] = p.object, p.object
		waiting := append(u.waitsAt[p.at], u.waitsFor[name]...)
		delete(u.waitsAt, p.at)
		delete(u.waitsFor, name)
		for _, d := range waiting {
			u.unresolved--
			data, err := u.patch(p.data, d.data)
			if err != nil {
				return err
			}
			queue = append(queue, placed{d.at, object{p.kind, data}})
		}
	}
	return nil
}

func (u *unpacker) apply(base object, d delta) error {
	data, err := u.patch(base.data, d.data)
	if err != nil {
		return err
	}
	return u.add(d.at, object{base.kind, data})
}

func nameOf(o object) oid {
	h := sha1.New() //nolint:gosec // see above
	fmt.Fprintf(h, "%s %d\x00", kindNames[o.kind], len(o.data))
	h.Write(o.data)
	return oid(h.Sum(nil))
}

// patch applies a delta: the sizes of both sides, then commands to copy from the
// base and to insert.
func (u *unpacker) patch(base, d []byte) ([]byte, error) {
	from, d, ok := length(d)
	to, d, ok2 := length(d)
	if !ok || !ok2 || from != int64(len(base)) {
		return nil, errBadPack
	}
	if err := u.grow(to); err != nil {
		return nil, err
	}
	out := make([]byte, 0, to)
	for len(d) > 0 {
		command := d[0]
		d = d[1:]
		switch {
		case command == 0:
			return nil, errBadPack
		case command&0x80 == 0:
			n := int(command)
			if n > len(d) {
				return nil, errBadPack
			}
			out, d = append(out, d[:n]...), d[n:]
		default:
			var offset, size int
			for i := range 7 {
				if command>>i&1 == 0 {
					continue
				}
				if len(d) == 0 {
					return nil, errBadPack
				}
				if i < 4 {
					offset |= int(d[0]) << (8 * i)
				} else {
					size |= int(d[0]) << (8 * (i - 4))
				}
				d = d[1:]
			}
			if size == 0 {
				size = 0x10000
			}
			if offset > len(base) || size > len(base)-offset {
				return nil, errBadPack
			}
			out = append(out, base[offset:offset+size]...)
		}
		if int64(len(out)) > to {
			return nil, errBadPack
		}
	}
	if int64(len(out)) != to {
		return nil, errBadPack
	}
	return out, nil
}

func length(d []byte) (n int64, rest []byte, ok bool) {
	for shift := 0; len(d) > 0 && shift <= 35; shift += 7 {
		b := d[0]
		d = d[1:]
		n |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			return n, d, true
		}
	}
	return 0, nil, false
}
