// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package secrets

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/certstore"
)

// The names of entries in a Secret: values, and the numbers of locks that have
// written.
const (
	valuePrefix = "v-"
	fencePrefix = "fence-"
)

const (
	// maxSecretBytes is what the API server takes, and maxShardBytes what is used of
	// it: the rest is for fences.
	maxSecretBytes = 1 << 20
	maxShardBytes  = maxSecretBytes - 4<<10
)

// head is the first line of an entry; the value follows.
type head struct {
	Key     string    `json:"key"`
	Expires time.Time `json:"expires"`
}

func entryName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return valuePrefix + hex.EncodeToString(sum[:20])
}

func fenceName(slot int) string { return fencePrefix + strconv.Itoa(slot) }

func encodeEntry(key string, value []byte, expires time.Time) ([]byte, error) {
	line, err := json.Marshal(head{Key: key, Expires: expires.UTC().Truncate(time.Second)})
	if err != nil {
		return nil, fmt.Errorf("encoding an entry: %w", err)
	}
	return append(append(line, '\n'), value...), nil
}

func decodeHead(entry []byte) (h head, value []byte, err error) {
	line, value, ok := bytes.Cut(entry, []byte{'\n'})
	if !ok || json.Unmarshal(line, &h) != nil || h.Key == "" {
		return h, nil, certstore.ErrDamaged
	}
	return h, value, nil
}

// valueOf gives a value of a Secret's data. One that is there and cannot be read is an
// error of its own, so that nobody takes it for missing. A10
func valueOf(data map[string][]byte, key string, now time.Time) ([]byte, error) {
	entry, ok := data[entryName(key)]
	if !ok {
		return nil, fs.ErrNotExist
	}
	h, value, err := decodeHead(entry)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: entry %s", err, entryName(key))
	case h.Key != key:
		return nil, fmt.Errorf("%w: entry %s is that of another key", certstore.ErrDamaged, entryName(key))
	case !h.Expires.After(now):
		return nil, fs.ErrNotExist
	}
	return value, nil
}

// expired lists the entries that are over: those that last, or the others.
func expired(data map[string][]byte, lasting bool, now time.Time) (names []string) {
	for name, entry := range data {
		if !strings.HasPrefix(name, valuePrefix) {
			continue
		}
		h, _, err := decodeHead(entry)
		if err == nil && !h.Expires.After(now) && certstore.Lasting(h.Key) == lasting {
			names = append(names, name)
		}
	}
	return names
}

func size(data map[string][]byte) (n int) {
	for _, entry := range data {
		n += len(entry)
	}
	return n
}

// fence gives the number of the newest lock of a slot that has written here.
func fence(data map[string][]byte, slot int) int64 {
	n, err := strconv.ParseInt(string(data[fenceName(slot)]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
