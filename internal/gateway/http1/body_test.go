// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

const chunkedHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

// message reads the head of a request, and begins its body.
func message(t testing.TB, src io.Reader) (*Request, *Body, *Reader) {
	t.Helper()
	r := NewReader(src, Limits{})
	var q Request
	if err := r.ReadRequest(&q); err != nil {
		t.Fatal(err)
	}
	var b Body
	b.Reset(r, &q.Head)
	return &q, &b, r
}

// drain reads a body part by part.
func drain(b *Body) (string, error) {
	var out strings.Builder
	for {
		part, err := b.Next()
		out.Write(part)
		if err != nil {
			return out.String(), err
		}
	}
}

func TestBodiesEndWhereTheyEnd(t *testing.T) { // H4
	t.Parallel()
	for _, c := range []struct{ head, body, want, rest string }{
		{"POST / HTTP/1.1\r\nHost: a\r\n\r\n", "", "", "next"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "hello", "hello", "next"},
		{chunkedHead, "0\r\n\r\n", "", "next"},
		{chunkedHead, "5\r\nhello\r\n006\r\n world\r\n0\r\n\r\n", "hello world", "next"},
		{chunkedHead, "5;a=b;c=\"d\"\r\nhello\r\n00;x\r\nX-A: 1\r\nContent-Length: 7\r\nX-Forwarded-For: 1\r\nConnection: x\r\nX-B: 2\r\n\r\n", "hello", "next"},
		{chunkedHead, "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", "next"},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "in halves": iotest.HalfReader,
		} {
			_, b, r := message(t, wrap(strings.NewReader(c.head+c.body+c.rest)))
			got, err := drain(b)
			if got != c.want || !errors.Is(err, io.EOF) || !b.Ended() {
				t.Errorf("%q %s: %q, %v", c.body, name, got, err)
			}
			left, _ := io.ReadAll(io.MultiReader(bytes.NewReader(r.Buffered()), r.src))
			if string(left) != c.rest {
				t.Errorf("%q %s: %q is left", c.body, name, left)
			}
			if _, err := b.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("%q %s: after the end %v", c.body, name, err)
			}
		}
	}
}

func TestTrailersAreWithoutWhatFrames(t *testing.T) { // P6
	t.Parallel()
	_, b, _ := message(t, strings.NewReader(chunkedHead+"1\r\nx\r\n0\r\nX-A: 1\r\nContent-Length: 7\r\nTransfer-Encoding: x\r\nHost: b\r\nX_Forwarded_For: 1\r\nTE: x\r\nX-B: 2\r\n\r\n"))
	if _, err := drain(b); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	var got []string
	for _, f := range b.Trailer().Fields {
		got = append(got, fmt.Sprintf("%s=%s", f.Name.Of(b.Trailer().Bytes), f.Value.Of(b.Trailer().Bytes)))
	}
	if fmt.Sprint(got) != "[X-A=1 X-B=2]" {
		t.Errorf("trailers %v", got)
	}
}

func TestFramingInDoubtIsRefused(t *testing.T) { // H2
	t.Parallel()
	for body, want := range map[string]error{
		"5\nhello\r\n0\r\n\r\n":                                        ErrChunk,
		"5\r\nhello\n0\r\n\r\n":                                        ErrChunk,
		"5\r\nhello0\r\n\r\n":                                          ErrChunk,
		"5 \r\nhello\r\n0\r\n\r\n":                                     ErrChunk,
		" 5\r\nhello\r\n0\r\n\r\n":                                     ErrChunk,
		"0x5\r\nhello\r\n0\r\n\r\n":                                    ErrChunk,
		"+5\r\nhello\r\n0\r\n\r\n":                                     ErrChunk,
		"-5\r\nhello\r\n0\r\n\r\n":                                     ErrChunk,
		"1_0\r\nhello\r\n0\r\n\r\n":                                    ErrChunk,
		"\r\nhello\r\n0\r\n\r\n":                                       ErrChunk,
		";a\r\nhello\r\n0\r\n\r\n":                                     ErrChunk,
		"5;a\nb\r\nhello\r\n0\r\n\r\n":                                 ErrChunk,
		"5;a\x00\r\nhello\r\n0\r\n\r\n":                                ErrChunk,
		"5;a\rb\r\nhello\r\n0\r\n\r\n":                                 ErrChunk,
		"5 ;a\r\nhello\r\n0\r\n\r\n":                                   ErrChunk,
		"g\r\nhello\r\n0\r\n\r\n":                                      ErrChunk,
		"10000000000000000\r\nhello":                                   ErrChunk,
		"fffffffffffffffff\r\nhello":                                   ErrChunk,
		"5;" + strings.Repeat("a", 600):                                ErrChunk,
		"0\r\nX A: b\r\n\r\n":                                          ErrTrailer,
		"0\r\n folded\r\n\r\n":                                         ErrTrailer,
		"0\r\nX-A: b\nX-B: c\r\n\r\n":                                  ErrTrailer,
		"0\r\n\n":                                                      ErrTrailer,
		"0\r\nX-A: " + strings.Repeat("a", 70<<10):                     ErrTrailerLarge,
		strings.Repeat("1;"+strings.Repeat("a", 400)+"\r\nx\r\n", 100): ErrChunkOverhead,
		"5\r\nhel":            io.ErrUnexpectedEOF,
		"5\r\nhello":          io.ErrUnexpectedEOF,
		"5\r\nhello\r\n":      io.ErrUnexpectedEOF,
		"5\r\nhello\r\n0\r\n": io.ErrUnexpectedEOF,
		"":                    io.ErrUnexpectedEOF,
	} {
		_, b, _ := message(t, strings.NewReader(chunkedHead+body))
		if _, err := drain(b); !errors.Is(err, want) || b.Ended() {
			t.Errorf("%.60q: %v, want %v", body, err, want)
		}
	}
	_, b, _ := message(t, strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel"))
	if _, err := drain(b); !errors.Is(err, io.ErrUnexpectedEOF) || b.Ended() {
		t.Errorf("a body cut short: %v", err)
	}
}

func TestManySmallChunksAreNoOverhead(t *testing.T) { // H2
	t.Parallel()
	_, b, _ := message(t, strings.NewReader(chunkedHead+strings.Repeat("1\r\nx\r\n", 100_000)+"0\r\n\r\n"))
	if got, err := drain(b); len(got) != 100_000 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestAResponseWithoutALengthEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	r := NewReader(iotest.HalfReader(strings.NewReader("HTTP/1.1 200 OK\r\n\r\nall of it")), Limits{})
	var p Response
	if err := r.ReadResponse(&p, http.MethodGet); err != nil {
		t.Fatal(err)
	}
	var b Body
	b.Reset(r, &p.Head)
	if got, err := drain(&b); got != "all of it" || !errors.Is(err, io.EOF) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPipelinedRequestsAreReadInOrder(t *testing.T) { // H12
	t.Parallel()
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", i, i%7, strings.Repeat("x", i%7))
	}
	r := NewReader(strings.NewReader(text.String()), Limits{})
	var q Request
	var b Body
	for i := range 100 {
		if err := r.ReadRequest(&q); err != nil {
			t.Fatal(err)
		}
		if got := string(q.Target.Of(q.Bytes)); got != fmt.Sprintf("/%d", i) {
			t.Fatalf("request %d is %s", i, got)
		}
		b.Reset(r, &q.Head)
		if got, err := drain(&b); len(got) != i%7 || !errors.Is(err, io.EOF) {
			t.Fatalf("body %d: %q, %v", i, got, err)
		}
	}
	if err := r.ReadRequest(&q); !errors.Is(err, io.EOF) {
		t.Errorf("at the end %v", err)
	}
}

func TestAHeadThatBreaksOffOrIsTooLargeEnds(t *testing.T) { // H9
	t.Parallel()
	var q Request
	if err := NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost"), Limits{}).ReadRequest(&q); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	endless := io.MultiReader(strings.NewReader("GET / HTTP/1.1\r\nX: "), zeros{})
	r := NewReader(endless, Limits{})
	if err := r.ReadRequest(&q); !errors.Is(err, ErrHeadTooLarge) || len(r.buf) > 256<<10 {
		t.Errorf("%v with a buffer of %d bytes", err, len(r.buf))
	}
	if err := NewReader(iotest.OneByteReader(zeros{}), Limits{}).ReadRequest(&q); !errors.Is(err, ErrLineTooLong) {
		t.Errorf("%v", err)
	}
}

// zeros is an endless text of the digit.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// Whatever we take of a chunked body, net/http takes too, and reads the same data;
// how the bytes arrive, and how they are asked for, makes no difference.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "1\r\nx\r\n1\r\ny\r\n0\r\n\r\nrest"} {
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, body string, size uint8) {
		_, b, _ := message(t, strings.NewReader(chunkedHead+body))
		ours, err := drain(b)
		_, slow, _ := message(t, iotest.OneByteReader(strings.NewReader(chunkedHead+body)))
		var again bytes.Buffer
		_, slowErr := io.CopyBuffer(struct{ io.Writer }{&again}, struct{ io.Reader }{slow}, make([]byte, int(size)+1))
		if slowErr == nil {
			slowErr = io.EOF
		}
		if again.String() != ours || slowErr.Error() != err.Error() {
			t.Fatalf("%q: at once %q, %v; byte by byte %q, %v", body, ours, err, again.String(), slowErr)
		}
		if !errors.Is(err, io.EOF) {
			return
		}
		theirs, err := http.ReadRequest(bufio.NewReader(strings.NewReader(chunkedHead + body)))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(theirs.Body)
		if err != nil && !strings.Contains(err.Error(), "railer") {
			t.Fatalf("we take %q, net/http says %v", body, err)
		}
		if string(data) != ours {
			t.Fatalf("%q: we read %q, net/http %q", body, ours, data)
		}
	})
}

func TestReadingABodyAllocatesNothing(t *testing.T) {
	text := []byte(chunkedHead + strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 64) + "0\r\n\r\n")
	src := bytes.NewReader(nil)
	r := NewReader(src, Limits{})
	var q Request
	var b Body
	read := func() {
		src.Reset(text)
		r.Reset(src)
		if err := r.ReadRequest(&q); err != nil {
			t.Fatal(err)
		}
		b.Reset(r, &q.Head)
		for {
			if _, err := b.Next(); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	read()
	if n := testing.AllocsPerRun(20, read); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
