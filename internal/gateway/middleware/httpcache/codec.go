// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"encoding/binary"
	"time"
)

// The form of a resource in the shared store: the version, and entry after entry. A text
// has its length before it, a list its count.
const codecVersion = 1

// errCodec is a value of the shared store that is none of ours, or of another version.
const errCodec = cacheError("the shared store has a value that cannot be read")

const (
	flagValidated = 1 << iota
	flagStrict
	flagPatient
	flagShared
	flagControl
)

func encode(r *resource) []byte {
	n := 16
	for _, e := range r.variants {
		n += int(e.size())
	}
	out := binary.AppendUvarint(append(make([]byte, 0, n), codecVersion), uint64(len(r.variants)))
	for _, e := range r.variants {
		out = appendEntry(out, e)
	}
	return out
}

func appendEntry(out []byte, e *entry) []byte {
	flags := uint64(0)
	for flag, set := range map[uint64]bool{
		flagValidated: e.validated, flagStrict: e.strict, flagPatient: e.patient, flagShared: e.shared, flagControl: e.control != nil,
	} {
		if set {
			flags |= flag
		}
	}
	for _, n := range []int64{
		int64(e.status), int64(flags), e.received.UnixNano(), int64(e.age), int64(e.lifetime), int64(e.keepFresh), //nolint:gosec // five bits
		int64(e.whileRevalidate), int64(e.ifError),
	} {
		out = binary.AppendVarint(out, n)
	}
	out = binary.AppendUvarint(out, uint64(len(e.fields)))
	for _, f := range e.fields {
		out = appendTexts(appendText(out, f.name), f.values)
	}
	out = appendTexts(appendTexts(appendTexts(out, e.control), e.maxAge), e.vary)
	out = appendText(appendText(appendText(out, e.variant), e.etag), e.lastModified)
	return append(binary.AppendUvarint(out, uint64(len(e.body))), e.body...)
}

func appendText(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

func appendTexts(out []byte, list []string) []byte {
	out = binary.AppendUvarint(out, uint64(len(list)))
	for _, s := range list {
		out = appendText(out, s)
	}
	return out
}

// decode reads what encode has written. Bodies share memory with the text.
func decode(text []byte) (*resource, error) {
	if len(text) == 0 || text[0] != codecVersion {
		return nil, errCodec
	}
	d := &decoder{rest: text[1:]}
	r := &resource{}
	for range d.count() {
		e := d.entry()
		if d.broken {
			return nil, errCodec
		}
		r.variants = append(r.variants, e)
	}
	if d.broken || len(d.rest) > 0 {
		return nil, errCodec
	}
	return r, nil
}

type decoder struct {
	rest   []byte
	broken bool
}

func (d *decoder) entry() *entry {
	e := &entry{status: int(d.number())}
	flags := d.number()
	e.validated, e.strict, e.patient, e.shared = flags&flagValidated != 0, flags&flagStrict != 0, flags&flagPatient != 0, flags&flagShared != 0
	e.received = time.Unix(0, d.number())
	for _, into := range []*time.Duration{&e.age, &e.lifetime, &e.keepFresh, &e.whileRevalidate, &e.ifError} {
		*into = time.Duration(d.number())
	}
	for range d.count() {
		e.fields = append(e.fields, field{d.text(), d.texts()})
	}
	if e.control = d.texts(); flags&flagControl == 0 {
		e.control = nil
	}
	e.maxAge, e.vary = d.texts(), d.texts()
	e.variant, e.etag, e.lastModified = d.text(), d.text(), d.text()
	e.body = d.bytes()
	return e
}

func (d *decoder) number() int64 {
	n, size := binary.Varint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// count reads how many of something follow, each of which takes a byte at least.
func (d *decoder) count() int {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > uint64(len(d.rest)-size) {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return int(n) //nolint:gosec // no more than there are bytes
}

func (d *decoder) bytes() []byte {
	n := d.count()
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) text() string { return string(d.bytes()) }

func (d *decoder) texts() []string {
	var list []string
	for range d.count() {
		list = append(list, d.text())
	}
	return list
}

func (d *decoder) fail() { d.broken, d.rest = true, nil }
