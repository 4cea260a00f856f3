// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import "time"

// budget is what a connection of HTTP/2 may have the server do beside work. Work earns
// more of it, and so does time; whoever overdraws it is flooding. The zero value is
// that of a connection which has just begun. CVE-2019-9511 to 9518, CVE-2023-44487,
// CVE-2023-45288, CVE-2025-8671. G1
type budget struct {
	control, resets account
	// began is when the first frame came; nothing is earned by time before.
	began time.Time
}

// account begins full, and is never more than full.
type account struct {
	spent int
	// earned counts what time has given.
	earned int64
}

// The sizes of accounts, and what time earns, each second.
//
// A stream that is begun and reset costs, by either side; one that is answered to its
// end earns as much, so that a client whose every other stream is given up is served
// for ever. A browser that leaves a page gives up a hundred at once.
//
// Frames that carry nothing cost. Answers earn: clients acknowledge what they get with
// window updates, for the stream and for the connection, and measure it with pings.
const (
	fullResets    = 500
	resetsPerTime = 10

	fullControl    = 2000
	controlPerTime = 20

	costSettings = 20
	earnFrame    = 4
	earnBytes    = 2 << 10 // of an answer earn another one
)

// spend takes from an account and tells whether it held so much.
func (b *budget) spend(a *account, n, full int, perSecond int64) bool {
	if a.spent += n; a.spent <= full {
		return true
	}
	given := int64(time.Since(b.began)/time.Second)*perSecond - a.earned
	a.earned += given
	a.earn(int(min(given, int64(full))))
	return a.spent <= full
}

func (a *account) earn(n int) { a.spent = max(a.spent-n, 0) }

// received accounts for a frame from the client. It is false for one too many.
func (b *budget) received(f frame) bool {
	if b.began.IsZero() {
		b.began = time.Now()
	}
	switch f.kind {
	case frameHeaders:
		return true // its stream is answered, or reset
	case frameData:
		if f.length > 0 && f.flags&flagPadded == 0 || f.length > 256 || f.flags&flagEndStream != 0 {
			return true
		}
	case frameReset:
		return b.spend(&b.resets, 1, fullResets, resetsPerTime)
	case frameSettings:
		if f.flags&flagAck == 0 {
			return b.spend(&b.control, costSettings, fullControl, controlPerTime)
		}
	}
	return b.spend(&b.control, 1, fullControl, controlPerTime)
}

// sent accounts for a frame to the client. It is false when that has provoked one
// reset too many.
func (b *budget) sent(f frame) bool {
	switch f.kind {
	case frameData, frameHeaders, frameContinuation:
		b.control.earn(earnFrame + f.length/earnBytes)
		if f.kind != frameContinuation && f.flags&flagEndStream != 0 {
			b.resets.earn(1)
		}
	case frameReset:
		return !provoked(f.code) || b.spend(&b.resets, 1, fullResets, resetsPerTime)
	}
	return true
}

// provoked tells the codes of resets to which the client has made the server. The
// others come of what backends do, and of bodies that nobody wants.
func provoked(code uint32) bool {
	switch code {
	case 0x1, 0x3, 0x5, 0x6, 0x7, 0x9, 0xb: // PROTOCOL, FLOW_CONTROL, STREAM_CLOSED, FRAME_SIZE, REFUSED_STREAM, COMPRESSION, ENHANCE_YOUR_CALM
		return true
	}
	return false
}
