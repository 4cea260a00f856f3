// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"crypto/tls"
	"strings"
)

// misdirected tells a request for a host that the connection was not made for, and may
// not be used for. A client that has a connection for one host uses it for others that
// it believes to be the same server; what was agreed on then may not be what the other
// host asks for (RFC 9110 §15.5.20). G4, A2
func (e *EntryPoint) misdirected(state *tls.ConnectionState, host string) bool {
	if state == nil || e.authorised == nil || host == "" || madeFor(state.ServerName, host) {
		return false
	}
	return !e.authorised(state.ServerName, host)
}

// madeFor tells what is nearly always so: the host is the name in the handshake,
// perhaps with a port.
func madeFor(name, host string) bool {
	return name != "" && strings.HasPrefix(host, name) && (len(host) == len(name) || host[len(name)] == ':')
}
