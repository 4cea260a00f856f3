// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/route"
)

// conflicts finds the Routes of which another one takes the match, by the table
// that the gateway uses. With a sidecar the pods report them; without one nobody
// else would tell.
func conflicts(b *config.Bundle) []config.Problem {
	byEntry := map[*route.Entry]*config.Route{}
	var entries []*route.Entry
	for _, r := range b.Routes {
		if r.Enabled != nil && !*r.Enabled {
			continue
		}
		e, problems := route.New(r, nil)
		if len(problems) > 0 {
			continue // it is set aside, so it takes nothing from anybody
		}
		byEntry[e] = r
		entries = append(entries, e)
	}
	_, found := route.Build(nil, entries)
	var out []config.Problem
	for _, c := range found {
		p := config.Problem{
			Object: byEntry[c.Loser].Meta.Ref,
			Field:  "path",
			Reason: config.ReasonConflicted,
			Message: fmt.Sprintf("Route %s has the same match at host %s and takes precedence; change one of them",
				c.Winner.Name, c.Host),
		}
		if c.Outranked || !c.Entirely {
			p.Severity = config.SeverityWarning
		}
		out = append(out, p)
	}
	return out
}
