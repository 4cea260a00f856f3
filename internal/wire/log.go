// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
)

// format is the version of the log. It is on the first line of every index; a
// reader refuses one that it does not know instead of guessing.
const format = 1

// batch is one line of the log: one commit.
type batch struct {
	Format     int     `json:"format,omitempty"`
	Generation uint64  `json:"generation"`
	Complete   bool    `json:"complete,omitempty"`
	Set        []entry `json:"set,omitempty"`
	Delete     []Key   `json:"delete,omitempty"`
}

// entry names a version of an object. Its file follows from both.
type entry struct {
	Key
	Hash hash `json:"hash"`
}

// size is the number of objects that the batch mentions.
func (b batch) size() int { return len(b.Set) + len(b.Delete) }

// errCorrupt is a line that was written whole and is not what was written.
var errCorrupt = errors.New("damaged line")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// line gives the batch as a line: CRC-32C of the rest in 8 hexadecimal digits,
// a space, JSON, a newline.
func (b batch) line() ([]byte, error) {
	text, err := plainJSON(b)
	if err != nil {
		return nil, err
	}
	sum := crc32.Checksum(bytes.TrimSuffix(text, []byte("\n")), castagnoli)
	return append(fmt.Appendf(nil, "%08x ", sum), text...), nil
}

// parseLine reads a line without its newline.
func parseLine(line []byte) (batch, error) {
	var b batch
	const head = len("00000000 ")
	if len(line) < head || line[head-1] != ' ' {
		return b, errCorrupt
	}
	want, err := strconv.ParseUint(string(line[:head-1]), 16, 32)
	if err != nil || crc32.Checksum(line[head:], castagnoli) != uint32(want) {
		return b, errCorrupt
	}
	if err := json.Unmarshal(line[head:], &b); err != nil {
		return b, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	return b, nil
}

// parseLog reads the whole lines at the beginning of data and calls each for
// every batch. It gives the number of bytes that were taken: a line without its
// newline is not committed and is left. fresh says that data is the beginning of
// an index, so that its first line must tell the format.
func parseLog(data []byte, fresh bool, each func(batch)) (taken int, err error) {
	for {
		end := bytes.IndexByte(data[taken:], '\n')
		if end < 0 {
			return taken, nil
		}
		b, err := parseLine(data[taken : taken+end])
		if err != nil {
			return taken, err
		}
		if fresh && b.Format != format {
			return taken, fmt.Errorf("index of format %d, want %d; the gateway and goma-k8s-provider must be of versions that go together", b.Format, format)
		}
		fresh = false
		taken += end + 1
		each(b)
	}
}

// state is what a log amounts to.
type state struct {
	objects    map[Key]hash
	sum        sum
	generation uint64
	// complete says that the last batch was.
	complete bool
	// entries counts what the log mentions, to know when it has grown long.
	entries int
}

func newState() *state { return &state{objects: map[Key]hash{}} }

func (s *state) apply(b batch) {
	for _, e := range b.Set {
		if old, ok := s.objects[e.Key]; ok {
			s.sum.remove(old)
		}
		s.objects[e.Key] = e.Hash
		s.sum.add(e.Hash)
	}
	for _, k := range b.Delete {
		if old, ok := s.objects[k]; ok {
			s.sum.remove(old)
			delete(s.objects, k)
		}
	}
	s.generation = b.Generation
	s.complete = b.Complete
	s.entries += b.size()
}

// batch gives the whole state as one batch.
func (s *state) batch() batch {
	b := batch{Generation: s.generation, Complete: s.complete}
	for key, h := range s.objects {
		b.Set = append(b.Set, entry{Key: key, Hash: h})
	}
	slices.SortFunc(b.Set, compareEntries)
	return b
}

// replay keeps back the batches that no complete one has followed yet.
type replay struct {
	*state
	staged []batch
}

func newReplay() *replay { return &replay{state: newState()} }

// take adds a batch and reports what it, if complete, has made part of the state.
func (r *replay) take(b batch) []batch {
	r.staged = append(r.staged, b)
	if !b.Complete {
		return nil
	}
	done := r.staged
	r.staged = nil
	for _, b := range done {
		r.apply(b)
	}
	return done
}
