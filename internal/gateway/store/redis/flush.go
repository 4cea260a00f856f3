// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

const (
	flushTimeout = time.Minute
	flushBatch   = 1000
)

// startFlush takes the keys of this gateway out of the store, beside everything
// else. Other keys of the database stay: it may belong to others too. So do
// certificates, which an authority does not issue at will.
func (s *Store) startFlush(wanted bool) {
	var ctx context.Context
	ctx, s.stop = context.WithTimeout(context.Background(), flushTimeout)
	s.flushed = make(chan struct{})
	if !wanted {
		close(s.flushed)
		return
	}
	go func() {
		defer close(s.flushed)
		if err := s.flush(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("the keys of before could not be removed from the shared store", "addr", s.addr, "err", explain(err))
		}
	}()
}

func (s *Store) flush(ctx context.Context) error {
	// A key that holds characters of a pattern must match itself only.
	scan := s.client.Scan(ctx, 0, escape(s.prefix)+"*", flushBatch).Iterator()
	batch := make([]string, 0, flushBatch)
	drop := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := s.client.Unlink(ctx, batch...).Err()
		batch = batch[:0]
		return err
	}
	for scan.Next(ctx) {
		if strings.HasPrefix(scan.Val(), s.prefix+store.KeptPrefix) {
			continue
		}
		if batch = append(batch, scan.Val()); len(batch) == flushBatch {
			if err := drop(); err != nil {
				return err
			}
		}
	}
	if err := scan.Err(); err != nil {
		return err
	}
	return drop()
}

// escape takes the meaning from the characters of a pattern of Redis.
func escape(text string) string {
	var out []byte
	for i := range len(text) {
		switch text[i] {
		case '*', '?', '[', ']', '\\', '^', '-':
			out = append(out, '\\')
		}
		out = append(out, text[i])
	}
	return string(out)
}
