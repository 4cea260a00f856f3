// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"encoding/binary"
	"fmt"
)

// frameType is the type of a frame (RFC 9113 §6).
type frameType uint8

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

const (
	flagEndStream  = 0x1 // of DATA and HEADERS
	flagAck        = 0x1 // of SETTINGS and PING
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// code is an error code (RFC 9113 §7).
type code uint32

const (
	codeNone          code = 0x0
	codeProtocol      code = 0x1
	codeInternal      code = 0x2
	codeFlowControl   code = 0x3
	codeStreamClosed  code = 0x5
	codeFrameSize     code = 0x6
	codeRefusedStream code = 0x7
	codeCompression   code = 0x9
	codeEnhanceCalm   code = 0xb
)

// settings are parameters of a connection (RFC 9113 §6.5.2).
const (
	settingTableSize     = 0x1
	settingPush          = 0x2
	settingMaxStreams    = 0x3
	settingInitialWindow = 0x4
	settingMaxFrame      = 0x5
	settingMaxHeaderList = 0x6
)

const (
	// preface begins a connection of a client (RFC 9113 §3.4).
	preface        = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	frameHeadBytes = 9
	// maxFrameBytes is the largest payload of a frame that is taken.
	maxFrameBytes = 16 << 10
	firstWindow   = 65535
	maxWindow     = 1<<31 - 1
	maxStreamID   = 1<<31 - 1
)

// connError ends the connection (RFC 9113 §5.4.1).
type connError struct {
	code   code
	reason string
}

func (e *connError) Error() string {
	return fmt.Sprintf("%s (HTTP/2 error 0x%x)", e.reason, uint32(e.code))
}

// streamError ends a stream (RFC 9113 §5.4.2).
type streamError struct {
	code   code
	reason string
}

func (e *streamError) Error() string {
	return fmt.Sprintf("%s (HTTP/2 error 0x%x of a stream)", e.reason, uint32(e.code))
}

// frame is the head of a frame and what it carries, which holds until the next read.
type frame struct {
	kind    frameType
	flags   uint8
	stream  uint32
	payload []byte
}

func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

// content gives the payload without padding and priority, and whether it says that
// the stream depends on itself.
func (f *frame) content() (content []byte, selfish bool, err error) {
	p, padding := f.payload, 0
	if f.has(flagPadded) {
		if len(p) == 0 {
			return nil, false, &connError{codeFrameSize, "a frame ends before its padding"}
		}
		padding, p = int(p[0]), p[1:]
	}
	if f.kind == frameHeaders && f.has(flagPriority) {
		if len(p) < 5 {
			return nil, false, &connError{codeFrameSize, "a frame ends before its priority"}
		}
		selfish = binary.BigEndian.Uint32(p)&maxStreamID == f.stream
		p = p[5:]
	}
	if padding > len(p) {
		return nil, false, &connError{codeProtocol, "more padding than payload"}
	}
	return p[:len(p)-padding], selfish, nil
}

// parseFrameHead reads the first bytes of a frame.
func parseFrameHead(b []byte) (length int, f frame) {
	return int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		frame{kind: frameType(b[3]), flags: b[4], stream: binary.BigEndian.Uint32(b[5:]) & maxStreamID}
}

func appendFrameHead(dst []byte, length int, kind frameType, flags uint8, stream uint32) []byte {
	dst = append(dst, byte(length>>16), byte(length>>8), byte(length), byte(kind), flags)
	return binary.BigEndian.AppendUint32(dst, stream)
}

func appendReset(dst []byte, stream uint32, c code) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(dst, 4, frameReset, 0, stream), uint32(c))
}

func appendGoAway(dst []byte, last uint32, c code) []byte {
	dst = binary.BigEndian.AppendUint32(appendFrameHead(dst, 8, frameGoAway, 0, 0), last)
	return binary.BigEndian.AppendUint32(dst, uint32(c))
}

func appendWindowUpdate(dst []byte, stream, n uint32) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(dst, 4, frameWindowUpdate, 0, stream), n)
}

func appendPing(dst []byte, flags uint8, data [8]byte) []byte {
	return append(appendFrameHead(dst, 8, framePing, flags, 0), data[:]...)
}

func appendSettings(dst []byte, pairs ...uint32) []byte {
	dst = appendFrameHead(dst, 3*len(pairs), frameSettings, 0, 0)
	for i := 0; i < len(pairs); i += 2 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(pairs[i])) //nolint:gosec // the number of a setting
		dst = binary.BigEndian.AppendUint32(dst, pairs[i+1])
	}
	return dst
}
