// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"errors"
	"io/fs"
	"net/http"
	"path"
)

// MaxValueBytes bounds a value; it is what a Secret may hold.
const MaxValueBytes = 1 << 20

// The paths of the protocol, and its header, which names the lock that a request is
// made under.
const (
	pathValues = "/v1/values"
	pathLocks  = "/v1/locks"
	headerLock = "Goma-Lock"
)

const (
	maxKeyBytes   = 512
	maxErrorBytes = 1 << 10
)

// The errors of a store, as far as anybody acts on them. Their texts say more.
var (
	// ErrUnavailable never means that a value is missing.
	ErrUnavailable = errors.New("the store of certificates does not answer")
	// ErrLost is that of what was to be done under a lock that has ended.
	ErrLost = errors.New("the lock has been lost")
	// ErrTooLarge is that of a value for which there is no room.
	ErrTooLarge = errors.New("there is no room for the value")
	// ErrDamaged is that of a value that is there and cannot be read.
	ErrDamaged = errors.New("the value is damaged")

	errLocked     = errors.New("somebody else has the lock")
	errBadRequest = errors.New("the store does not understand the request")
)

// statuses are the forms of errors on the wire.
var statuses = []struct {
	err    error
	status int
}{
	{fs.ErrNotExist, http.StatusNotFound},
	{errLocked, http.StatusLocked},
	{ErrLost, http.StatusConflict},
	{ErrTooLarge, http.StatusInsufficientStorage},
	{ErrDamaged, http.StatusUnprocessableEntity},
	{errBadRequest, http.StatusBadRequest},
	{ErrUnavailable, http.StatusServiceUnavailable},
}

// Lasting tells keys of what has cost an order: certificates and accounts. All others
// are of attempts and challenges, which are small, change often and are soon over.
func Lasting(key string) bool {
	kind := path.Base(path.Dir(key))
	return kind == KindCertificates || kind == KindAccounts
}

// The folders of keys that last.
const (
	KindCertificates = "certificates"
	KindAccounts     = "accounts"
)

// validKey takes what keys are made of.
func validKey(key string) bool {
	for _, c := range []byte(key) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return key != "" && len(key) <= maxKeyBytes
}
