// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
)

// MiddlewareFacts is what is known of a Middleware.
type MiddlewareFacts struct {
	Middleware *v1alpha1.Middleware
	// Problems are those of its type, paths and rule.
	Problems []config.Problem
	// ReferencedBy are the names of the Routes that list it, sorted.
	ReferencedBy []string
}

// Middleware judges a Middleware. A wish that this build cannot fulfil, and one that
// lacks a Secret, is valid and not accepted.
func Middleware(f MiddlewareFacts) v1alpha1.MiddlewareStatus {
	c := conditions{generation: f.Middleware.Generation}
	problems := errorsOf(f.Problems)
	var wrong []config.Problem
	for _, p := range problems {
		switch p.Reason {
		case config.ReasonUnsupported, config.ReasonSecretNotFound, config.ReasonSecretInvalid:
		default:
			wrong = append(wrong, p)
		}
	}
	if len(wrong) > 0 {
		c.set(Valid, false, ReasonValidationFailed, join(wrong))
	} else {
		c.set(Valid, true, ReasonValidationPassed, "The rule fits the type.")
	}
	if len(problems) > 0 {
		c.set(Accepted, false, reason(problems), "Routes that use this Middleware answer 503: "+join(problems))
	} else {
		c.set(Accepted, true, ReasonAccepted, "Routes can use this Middleware.")
	}
	return v1alpha1.MiddlewareStatus{
		Ready:        len(problems) == 0,
		ReferencedBy: f.ReferencedBy,
		Conditions:   c.list,
	}
}
