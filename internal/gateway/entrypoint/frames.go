// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import "encoding/binary"

// The types and flags of frames (RFC 9113 §6) that matter here.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameSettings     = 0x4
	framePing         = 0x6
	frameContinuation = 0x9

	flagEndStream = 0x1 // of DATA and HEADERS
	flagAck       = 0x1 // of SETTINGS and PING
	flagPadded    = 0x8

	frameHeadBytes = 9
	resetBytes     = 4
)

// frame is the head of a frame, and of RST_STREAM its code.
type frame struct {
	length      int
	kind, flags uint8
	stream      uint32
	code        uint32
}

// scanner finds the heads of frames in the bytes of one direction of a connection of
// HTTP/2, in whatever parts they come. What is in the frames it passes over.
type scanner struct {
	// skip is how much of a payload is still to come.
	skip int
	// head holds what there is of a head, and of the code of a reset behind it.
	head [frameHeadBytes + resetBytes]byte
	have int
}

// next gives the next frame of which p has the end of the head, and what follows it.
func (s *scanner) next(p []byte) (f frame, rest []byte, ok bool) {
	for len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(p))
			s.skip -= n
			p = p[n:]
			continue
		}
		n := copy(s.head[s.have:s.want()], p)
		s.have += n
		p = p[n:]
		if s.have < frameHeadBytes || s.have < s.want() {
			continue
		}
		f = s.frame()
		s.skip = f.length - (s.have - frameHeadBytes)
		s.have = 0
		return f, p, true
	}
	return frame{}, nil, false
}

// want is how much of a frame is looked at.
func (s *scanner) want() int {
	if s.have < frameHeadBytes || s.head[3] != frameReset {
		return frameHeadBytes
	}
	return frameHeadBytes + min(s.length(), resetBytes)
}

func (s *scanner) length() int { return int(s.head[0])<<16 | int(s.head[1])<<8 | int(s.head[2]) }

func (s *scanner) frame() frame {
	f := frame{
		length: s.length(), kind: s.head[3], flags: s.head[4],
		stream: binary.BigEndian.Uint32(s.head[5:]) &^ (1 << 31),
	}
	if s.have == frameHeadBytes+resetBytes {
		f.code = binary.BigEndian.Uint32(s.head[frameHeadBytes:])
	}
	return f
}

// between tells that no frame has begun and not ended.
func (s *scanner) between() bool { return s.skip == 0 && s.have == 0 }
