// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// Body is the body of a message, without its framing. The zero value is empty.
type Body struct {
	from  *Reader
	state bodyState
	left  int64 // of the body, or of the chunk
	count int64 // taken, of the whole body
	// overhead is how much more framing than data there has been lately.
	overhead int
	trailer  Head
	err      error
}

type bodyState uint8

const (
	atEnd bodyState = iota
	inLength
	inRest // until the connection closes
	inSize
	inChunk
	afterChunk
	inTrailer
)

// Reset begins the body that follows a head.
func (b *Body) Reset(from *Reader, h *Head) {
	b.trailer.reset()
	*b = Body{from: from, trailer: b.trailer}
	switch {
	case h.Length == Chunked:
		b.state = inSize
	case h.Length == UntilClose:
		b.state = inRest
	case h.Length > 0:
		b.state, b.left = inLength, h.Length
	}
}

// Ended tells whether the whole body has been read, so that the connection is at
// the beginning of the next message.
func (b *Body) Ended() bool { return b.state == atEnd && b.err == nil }

// Trailer gives the trailer fields, once the body has ended. Fields that say where
// a message ends, or whom it is for, are not among them.
func (b *Body) Trailer() *Head { return &b.trailer }

// Next gives the next part of the body, as much as there is without waiting, and
// at least one byte; it holds until the next call. The end is io.EOF; a body that
// breaks off is io.ErrUnexpectedEOF, a malformed one an *Error.
func (b *Body) Next() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	for {
		part, err := b.step()
		if err != nil {
			b.err = err
			return nil, err
		}
		if len(part) > 0 {
			return part, nil
		}
		if b.state == atEnd {
			return nil, io.EOF
		}
	}
}

// Ready tells that the next part of the body, or its end, can be had without waiting.
// In doubt it is false.
func (b *Body) Ready() bool {
	have := b.from.Buffered()
	switch b.state {
	case atEnd:
		return true
	case inTrailer:
		return endsTrailer(have)
	case inSize:
	case afterChunk:
		have = have[min(len(have), len("\r\n")):]
	default:
		return len(have) > 0
	}
	lf := bytes.IndexByte(have, '\n')
	if lf < 0 {
		return false
	}
	if have[0] == '0' {
		return endsTrailer(have[lf+1:])
	}
	return len(have) > lf+1
}

func endsTrailer(have []byte) bool {
	return bytes.HasPrefix(have, []byte("\r\n")) || bytes.Contains(have, []byte("\r\n\r\n"))
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.err == nil && (b.state == inLength || b.state == inChunk) && len(b.from.Buffered()) == 0 && len(p) >= startBytes {
		return b.direct(p)
	}
	part, err := b.Next()
	n := copy(p, part)
	if n < len(part) {
		b.back(len(part) - n)
	}
	return n, err
}

// direct reads into a large buffer without going through ours.
func (b *Body) direct(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.from.src.Read(p)
	b.from.full = n == len(p)
	b.took(n)
	if n > 0 || err == nil {
		return n, nil
	}
	b.err = unexpected(err)
	return 0, b.err
}

// Retry has the next read try again after one that came too late, and took nothing.
func (b *Body) Retry() {
	if errors.Is(b.err, os.ErrDeadlineExceeded) {
		b.err = nil
	}
}

// back gives back the end of the part that was taken last.
func (b *Body) back(n int) {
	b.from.r -= n
	b.count -= int64(n)
	if b.state == inRest {
		return
	}
	if b.left == 0 {
		b.state = map[bodyState]bodyState{atEnd: inLength, afterChunk: inChunk}[b.state]
	}
	b.left += int64(n)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// step goes one step of the framing further.
func (b *Body) step() ([]byte, error) {
	switch b.state {
	case inLength, inChunk:
		return b.data()
	case inRest:
		return b.rest()
	case inSize:
		return nil, b.size()
	case afterChunk:
		return nil, b.lineEnd()
	case inTrailer:
		return nil, b.trailers()
	default:
		return nil, nil
	}
}

// data takes what is buffered of a body or chunk of known length.
func (b *Body) data() ([]byte, error) {
	if len(b.from.Buffered()) == 0 {
		if err := b.from.fill(); err != nil {
			return nil, unexpected(err)
		}
	}
	part := b.from.Buffered()
	if int64(len(part)) > b.left {
		part = part[:b.left]
	}
	b.from.discard(len(part))
	b.took(len(part))
	return part, nil
}

func (b *Body) took(n int) {
	b.count += int64(n)
	if b.left -= int64(n); b.left > 0 {
		return
	}
	if b.state == inLength {
		b.state = atEnd
	} else {
		b.state = afterChunk
	}
}

func (b *Body) rest() ([]byte, error) {
	if len(b.from.Buffered()) == 0 {
		if err := b.from.fill(); errors.Is(err, io.EOF) {
			b.state = atEnd
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	part := b.from.Buffered()
	b.from.discard(len(part))
	b.count += int64(len(part))
	return part, nil
}

// Bounds of chunk framing (CVE-2023-39326).
const (
	maxSizeLine = 512
	maxOverhead = 16 << 10
	maxSize     = 15 // hexadecimal digits, so that a size fits an int64
)

// size reads the line before a chunk.
func (b *Body) size() error {
	buffered := b.from.Buffered()
	lf := bytes.IndexByte(buffered, '\n')
	if lf < 0 {
		if len(buffered) > maxSizeLine {
			return ErrChunk
		}
		return unexpected(b.from.fill())
	}
	if lf > maxSizeLine || lf == 0 || buffered[lf-1] != '\r' {
		return ErrChunk
	}
	n, err := parseSize(buffered[:lf-1])
	if err != nil {
		return err
	}
	// A chunk pays for sixteen bytes of framing, and each byte of data for two.
	b.overhead = max(0, b.overhead+lf+1-16-int(min(2*n, maxOverhead)))
	if b.overhead > maxOverhead {
		return ErrChunkOverhead
	}
	b.from.discard(lf + 1)
	b.left, b.state = n, inChunk
	if n == 0 {
		b.state = inTrailer
	}
	return nil
}

// parseSize takes hexadecimal digits, and an extension, which means nothing.
func parseSize(line []byte) (n int64, err error) {
	digits := 0
	for digits < len(line) {
		c := lower[line[digits]]
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | int64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		default:
			return n, extension(line[digits:], digits)
		}
		if digits++; digits > maxSize {
			return 0, ErrChunk
		}
	}
	return n, extension(nil, digits)
}

func extension(rest []byte, digits int) error {
	if digits == 0 || len(rest) > 0 && (rest[0] != ';' || !validValue(rest)) {
		return ErrChunk
	}
	return nil
}

// lineEnd reads the CRLF after a chunk.
func (b *Body) lineEnd() error {
	buffered := b.from.Buffered()
	if len(buffered) < 2 {
		if len(buffered) == 1 && buffered[0] != '\r' {
			return ErrChunk
		}
		return unexpected(b.from.fill())
	}
	if buffered[0] != '\r' || buffered[1] != '\n' {
		return ErrChunk
	}
	b.from.discard(2)
	b.state = inSize
	return nil
}

// trailers reads the fields after the last chunk.
func (b *Body) trailers() error {
	b.trailer.reset()
	buffered := b.from.Buffered()
	n, err := b.trailer.fields(buffered, 0, &b.from.limits)
	switch {
	case err != nil:
		return ErrTrailer
	case n > b.from.limits.HeadBytes, n == 0 && len(buffered) >= b.from.limits.HeadBytes:
		return ErrTrailerLarge
	case n == 0:
		return unexpected(b.from.fill())
	}
	b.from.discard(n)
	b.state = atEnd
	if len(b.trailer.Fields) > 0 {
		b.trailer.Bytes = bytes.Clone(buffered[:n]) // outlives the buffer
		b.trailer.Fields = passing(b.trailer.Fields)
	}
	return nil
}

// passing drops the fields that have no place in a trailer (RFC 9110 §6.5.1). P6
func passing(fields []Field) []Field {
	out := fields[:0]
	for _, f := range fields {
		if f.ID.InTrailer() {
			out = append(out, f)
		}
	}
	return out
}

// Whole takes all of a body of known length, if it has arrived and nothing was
// taken of it yet; it holds as long as a part that Next gives.
func (b *Body) Whole() (body []byte, ok bool) {
	if b.err != nil || b.state != inLength || b.left > int64(len(b.from.Buffered())) {
		return nil, false
	}
	body = b.from.Buffered()[:b.left]
	b.from.discard(len(body))
	b.took(len(body))
	return body, true
}

// Left gives how many bytes of a body of known length have not been taken, none of
// which is buffered; 0 for any other body. They may be read from the connection
// itself, and are then reported with Took.
func (b *Body) Left() int64 {
	if b.err != nil || b.state != inLength || len(b.from.Buffered()) > 0 {
		return 0
	}
	return b.left
}

// Took says that n of the bytes that are Left were read from the connection.
func (b *Body) Took(n int64) {
	b.count += n
	if b.left -= n; b.left == 0 {
		b.state = atEnd
	}
}

// Count gives how many bytes of the body have been taken.
func (b *Body) Count() int64 { return b.count }
