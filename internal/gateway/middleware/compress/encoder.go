// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// encoding is a content coding, by its registered name.
type encoding string

const (
	none      encoding = ""
	zstandard encoding = "zstd"
	brotlis   encoding = "br"
	gzips     encoding = "gzip"
)

var encodings = map[string]encoding{
	"zstd": zstandard, "zstandard": zstandard, "br": brotlis, "brotli": brotlis, "gzip": gzips, "x-gzip": gzips,
}

// level is how much time is spent on making a body small.
type level string

const (
	levelFastest level = "fastest"
	levelDefault level = "default"
	levelBest    level = "best"
)

var levels = []level{levelFastest, levelDefault, levelBest}

// encoder is what all three have in common.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

// kind names the encoders that are alike.
type kind struct {
	encoding encoding
	level    level
}

// windowBytes is how far back Zstandard and Brotli look. It bounds what an encoder
// takes of memory, here and at the client; RFC 9659 allows 8 MiB.
const (
	windowBits  = 19
	windowBytes = 1 << windowBits
)

// pools keep encoders, which are large, for the next answer. What they keep is of no
// client: each is reset before it goes in.
var pools sync.Map // of kind to *sync.Pool

// take gives an encoder that writes to w.
func take(k kind, w io.Writer) encoder {
	pool, ok := pools.Load(k)
	if !ok {
		pool, _ = pools.LoadOrStore(k, new(sync.Pool))
	}
	e, ok := pool.(*sync.Pool).Get().(encoder) //nolint:forcetypeassert // there is nothing else in it
	if !ok {
		return k.make(w)
	}
	e.Reset(w)
	return e
}

// give returns an encoder, used up or not.
func give(k kind, e encoder) {
	e.Reset(io.Discard)
	if pool, ok := pools.Load(k); ok {
		pool.(*sync.Pool).Put(e) //nolint:forcetypeassert // there is nothing else in it
	}
}

func (k kind) make(w io.Writer) encoder {
	switch k.encoding {
	case zstandard:
		// The options are valid, so there is no error.
		e, _ := zstd.NewWriter(w, zstd.WithEncoderLevel(zstdLevels[k.level]), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(windowBytes), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true))
		return e
	case brotlis:
		return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: brotliLevels[k.level], LGWin: windowBits})
	case gzips, none:
	}
	e, _ := gzip.NewWriterLevel(w, gzipLevels[k.level]) // the levels are valid
	return e
}

// The levels are those at which each coding costs about the same.
var (
	zstdLevels   = map[level]zstd.EncoderLevel{levelFastest: zstd.SpeedFastest, levelDefault: zstd.SpeedDefault, levelBest: zstd.SpeedBetterCompression}
	brotliLevels = map[level]int{levelFastest: 1, levelDefault: 4, levelBest: 9}
	gzipLevels   = map[level]int{levelFastest: 1, levelDefault: 5, levelBest: 9}
)
