// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package proxy

import "gateway.jkaninda.dev/goma/internal/gateway/exchange"

// A request that comes back to a gateway that it has been through goes in circles,
// until nothing is left to serve anybody. Each gateway adds itself to hopsHeader; a
// client that writes it can only have its own request refused. A chain of gateways,
// or a route that goes through its own gateway on purpose, is shorter than maxHops.
// U7
const (
	hopsHeader = "X-Goma-Hops"
	maxHops    = 10
)

const errLoop = proxyError("the request has come through too many gateways")

// hopsOf reads the value of hopsHeader. What is none counts as too many, since
// gateways write numbers.
func hopsOf(value string) int {
	n := 0
	for i := range len(value) {
		d := value[i]
		if d < '0' || d > '9' || n > maxHops {
			return maxHops
		}
		n = n*10 + int(d-'0')
	}
	return min(n, maxHops)
}

// inCircles gives an error for a request that has come through too many gateways.
func inCircles(x *exchange.Exchange) error {
	if x.Hops > maxHops {
		return errLoop
	}
	return nil
}
