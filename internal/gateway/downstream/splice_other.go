// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package downstream

import (
	"errors"
	"net"
)

const canSplice = false

// SendFrom is for systems that can move bytes between two sockets by themselves.
func (s *Stream) SendFrom(*net.TCPConn, int64) (int64, error) { return 0, errors.ErrUnsupported }
