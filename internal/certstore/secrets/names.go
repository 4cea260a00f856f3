// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package secrets

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/certstore"
)

const (
	// keptShards hold certificates and accounts: 2,000 certificates of 4 KiB fill half
	// of what 16 Secrets can hold. Another number would have everything looked for
	// elsewhere.
	keptShards = 16
	// workShards hold attempts and challenges, whose changes stay small this way.
	workShards = 4
	// slots are the Leases of certificates: as many are ordered at a time.
	slots = 8
)

// Prefix starts the names of all objects of a Gateway's store.
func Prefix(gateway string) string { return gateway + "-acme-" }

// SecretNames are the Secrets of a Gateway's store.
func SecretNames(gateway string) []string {
	list := numbered(Prefix(gateway), keptShards)
	return append(list, numbered(Prefix(gateway)+"work-", workShards)...)
}

// LeaseNames are the Leases of a Gateway's store. The last one is that of accounts.
func LeaseNames(gateway string) []string {
	return append(numbered(Prefix(gateway)+"lock-", slots), Prefix(gateway)+"lock-account")
}

func numbered(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, prefix+strconv.Itoa(i))
	}
	return list
}

// shardOf gives the place of a key's Secret among SecretNames.
func shardOf(key string) int {
	if certstore.Lasting(key) {
		return spread(key, keptShards)
	}
	return keptShards + spread(key, workShards)
}

// slotOf gives the place of a lock's Lease among LeaseNames. Two names may share one,
// and then wait for each other. A lock of an account is taken under that of a
// certificate, so it never shares with those.
func slotOf(name string) int {
	if strings.Contains(name, "/"+certstore.KindAccounts+"/") {
		return slots
	}
	return spread(name, slots)
}

func spread(text string, n uint64) int {
	sum := sha256.Sum256([]byte(text))
	return int(binary.BigEndian.Uint64(sum[:8]) % n) //nolint:gosec // it is less than n
}
