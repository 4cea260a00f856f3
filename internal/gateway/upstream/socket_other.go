// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package upstream

import (
	"net"
	"time"
)

// socket is for systems where a connection cannot be looked at without reading.
type socket struct{ raw any }

func (s *socket) of(net.Conn) {}

func (s *socket) alive() bool { return true }

func (s *socket) exchange([]byte, bool) (int, error) { panic("there is no socket") }

func giveUpAfter(net.Conn, time.Duration) {}
