// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"fmt"
	"strings"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// policy says who gets the next request.
type policy uint8

const (
	roundRobin policy = iota
	leastRequest
	consistentHash
)

// balancing is how a Cluster shares requests out. The zero value is in turn.
type balancing struct {
	policy    policy
	hashOn    func(Request) string // with consistentHash
	sticky    *sticky              // nil without
	slowStart time.Duration
}

// newBalancing compiles the settings of a route. The error comes with the field
// that it is about.
func newBalancing(r *config.Route) (b balancing, field string, err error) {
	s := r.LoadBalancing
	if s == nil {
		return b, "", nil
	}
	b.slowStart = s.SlowStart.Std()
	if s.Sticky != nil {
		b.sticky = newSticky(r.Name, &s.Sticky.Cookie)
	}
	switch {
	case s.Policy == "", strings.EqualFold(s.Policy, config.PolicyRoundRobin):
	case strings.EqualFold(s.Policy, config.PolicyLeastRequest):
		b.policy = leastRequest
	case strings.EqualFold(s.Policy, config.PolicyConsistentHash):
		b.policy = consistentHash
		on := config.HashOn{Source: "ip"}
		if s.HashOn != nil {
			on = *s.HashOn
		}
		if b.hashOn, err = valueOf(on.Source, on.Name); err != nil {
			return b, "loadBalancing.hashOn.source", err
		}
	default:
		return b, "loadBalancing.policy", fmt.Errorf("%q is not a policy", s.Policy)
	}
	return b, "", nil
}
