// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"strings"
)

// Span is a part of a head, by offset.
type Span struct{ Start, End uint32 }

// Empty tells a span of nothing.
func (s Span) Empty() bool { return s.Start == s.End }

// Of gives the part of the head's bytes.
func (s Span) Of(head []byte) []byte { return head[s.Start:s.End] }

// In gives the part of the head as a string, without a copy.
func (s Span) In(head string) string { return head[s.Start:s.End] }

// Field is one field line. Its value has no white space around it.
type Field struct {
	Name, Value Span
	ID          ID
}

// Head is what requests and responses have in common. Its bytes are part of the
// buffer that they were read into, and hold until that is read from again.
type Head struct {
	// Bytes is the head, from the first octet of its first line to the last of
	// the empty line that ends it.
	Bytes []byte
	// Fields are the field lines in order.
	Fields []Field
	// Minor is the x of HTTP/1.x.
	Minor uint8
	// Length is how many bytes of body follow: Chunked or UntilClose when that
	// is not known yet.
	Length int64
	// Close says that the sender does not want the connection to be used again.
	Close bool

	upgrade    Span
	connection bool // a Connection field lists more than close, keep-alive and upgrade
	wantsUp    bool // Connection lists upgrade
	keepAlive  bool // Connection lists keep-alive
}

// Lengths that are not known from the head.
const (
	Chunked    = -1
	UntilClose = -2
)

func (h *Head) reset() {
	fields := h.Fields[:0]
	*h = Head{Fields: fields}
}

// Get gives the value of the first field with an ID.
func (h *Head) Get(id ID) (value []byte, ok bool) {
	for i := range h.Fields {
		if h.Fields[i].ID == id {
			return h.Fields[i].Value.Of(h.Bytes), true
		}
	}
	return nil, false
}

// Find gives the first field with an ID.
func (h *Head) Find(id ID) (f *Field, ok bool) {
	for i := range h.Fields {
		if h.Fields[i].ID == id {
			return &h.Fields[i], true
		}
	}
	return nil, false
}

// Upgrade gives the protocols that the sender offers or takes up; nil when the
// connection is not to change.
func (h *Head) Upgrade() []byte {
	if !h.wantsUp || h.upgrade.Empty() {
		return nil
	}
	return h.upgrade.Of(h.Bytes)
}

// EndsHere tells whether a field concerns this connection only: a hop-by-hop
// field, or one that Connection lists. Fields that say where the message ends, or
// whose it is, cannot be listed away.
func (h *Head) EndsHere(f *Field) bool {
	if f.ID.HopByHop() {
		return true
	}
	return h.connection && !f.ID.framing() && h.listed(f.Name.Of(h.Bytes))
}

// EndsHereIn is EndsHere for a head that lives on as a string.
func (h *Head) EndsHereIn(head string, f *Field) bool {
	if f.ID.HopByHop() {
		return true
	}
	if !h.connection || f.ID.framing() {
		return false
	}
	for i := range h.Fields {
		if h.Fields[i].ID != Connection {
			continue
		}
		for option := range strings.SplitSeq(h.Fields[i].Value.In(head), ",") {
			if strings.EqualFold(strings.Trim(option, " \t"), f.Name.In(head)) {
				return true
			}
		}
	}
	return false
}

// listed looks a name up in all Connection fields.
func (h *Head) listed(name []byte) bool {
	for i := range h.Fields {
		if h.Fields[i].ID != Connection {
			continue
		}
		rest := h.Fields[i].Value.Of(h.Bytes)
		for len(rest) > 0 {
			var option []byte
			option, rest = nextOption(rest)
			if bytes.EqualFold(option, name) {
				return true
			}
		}
	}
	return false
}

// nextOption parts the first element from a comma-separated list.
func nextOption(list []byte) (option, rest []byte) {
	option = list
	if i := bytes.IndexByte(list, ','); i >= 0 {
		option, rest = list[:i], list[i+1:]
	}
	return trimSpace(option), rest
}

// fields parses field lines from pos to the empty line and gives the offset
// behind it; 0 when it has not arrived yet.
func (h *Head) fields(buf []byte, pos int, l *Limits) (end int, err error) {
	for first := true; ; first = false {
		rest := buf[pos:]
		lf := bytes.IndexByte(rest, '\n')
		if lf < 0 {
			return 0, nil
		}
		if lf == 0 || rest[lf-1] != '\r' {
			return 0, ErrLineEnd
		}
		if lf == 1 {
			return pos + 2, nil
		}
		if rest[0] == ' ' || rest[0] == '\t' {
			if first {
				return 0, ErrFieldName
			}
			return 0, ErrFolded
		}
		if len(h.Fields) >= l.Fields {
			return 0, ErrTooManyFields
		}
		if err := h.field(rest[:lf-1], pos); err != nil {
			return 0, err
		}
		pos += lf + 1
	}
}

// field parses one line, which begins at offset pos of the head.
func (h *Head) field(line []byte, pos int) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !all(line[:colon], isToken) {
		return ErrFieldName
	}
	start, end := colon+1, len(line)
	for start < end && (line[start] == ' ' || line[start] == '\t') {
		start++
	}
	for end > start && (line[end-1] == ' ' || line[end-1] == '\t') {
		end--
	}
	if !validValue(line[start:end]) {
		return ErrFieldValue
	}
	//nolint:gosec // a head is far smaller than 4 GiB
	h.Fields = append(h.Fields, Field{
		Name:  Span{uint32(pos), uint32(pos + colon)},
		Value: Span{uint32(pos + start), uint32(pos + end)},
		ID:    Identify(line[:colon]),
	})
	return nil
}

// framing is what a head says of length and connection, before it is judged.
type framing struct {
	length         int64
	lengths, codes int
	chunked        bool
}

// common reads the fields that mean the same in requests and responses.
func (h *Head) common() (f framing, err error) {
	for i := range h.Fields {
		field := &h.Fields[i]
		switch field.ID {
		case ContentLength:
			if f.lengths++; f.lengths > 1 {
				return f, ErrLength
			}
			if f.length, err = parseLength(field.Value.Of(h.Bytes)); err != nil {
				return f, err
			}
		case TransferEncoding:
			if f.codes++; f.codes > 1 {
				return f, ErrCodings
			}
			if err = checkCoding(field.Value.Of(h.Bytes)); err != nil {
				return f, err
			}
			f.chunked = true
		case Connection:
			h.options(field.Value.Of(h.Bytes))
		case Upgrade:
			if !h.upgrade.Empty() {
				h.upgrade = Span{} // two lists: neither is followed
				continue
			}
			h.upgrade = field.Value
		default:
		}
	}
	switch {
	case f.chunked && f.lengths > 0:
		return f, ErrLengthChunked
	case f.chunked && h.Minor == 0:
		return f, ErrChunkedOld
	}
	if h.Minor == 0 && !h.keepAlive {
		h.Close = true
	}
	return f, nil
}

// checkCoding takes chunked alone. What has chunked at its end and names codings that
// exist is a message that we do not read; anything else leaves doubt about its end
// (RFC 9112 §6.3). H1
func checkCoding(list []byte) error {
	if equalFold(list, "chunked") {
		return nil
	}
	var coding []byte
	for more := list; len(more) > 0; {
		coding, more = nextOption(more)
		switch {
		case len(more) == 0 && equalFold(coding, "chunked"):
			return ErrCoding
		case equalFold(coding, "gzip"), equalFold(coding, "deflate"), equalFold(coding, "compress"):
		default:
			return ErrCodings
		}
	}
	return ErrCodings
}

// options reads a Connection field.
func (h *Head) options(list []byte) {
	for len(list) > 0 {
		var option []byte
		option, list = nextOption(list)
		switch {
		case equalFold(option, "close"):
			h.Close = true
		case equalFold(option, "keep-alive"):
			h.keepAlive = true
		case equalFold(option, "upgrade"):
			h.wantsUp = true
		case len(option) > 0:
			h.connection = true
		}
	}
}

// parseLength takes digits only: no sign, no list, no white space (RFC 9112 §6.3).
func parseLength(b []byte) (int64, error) {
	if len(b) == 0 || len(b) > 19 {
		return 0, ErrLength
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, ErrLength
		}
		n = n*10 + int64(c-'0')
		if n < 0 {
			return 0, ErrLength
		}
	}
	return n, nil
}
