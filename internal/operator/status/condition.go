// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gateway.jkaninda.dev/goma/internal/config"
)

// The condition types.
const (
	// Available: at least one pod of the Gateway is ready.
	Available = "Available"
	// ConfigSynced: every ready pod has the present configuration.
	ConfigSynced = "ConfigSynced"
	// Accepted: what the object asks for is valid and will be tried.
	Accepted = "Accepted"
	// ResolvedRefs: everything that the object refers to exists and can be used.
	ResolvedRefs = "ResolvedRefs"
	// Programmed: it is live.
	Programmed = "Programmed"
	// Valid: the object's own fields are valid, and what it names exists.
	Valid = "Valid"
	// MiddlewaresResolved: each Middleware that a Route names exists.
	MiddlewaresResolved = "MiddlewaresResolved"
	// Conflicted: another Route with the same match takes precedence, at some host
	// at least.
	Conflicted = "Conflicted"
	// CertificateReady: there is a certificate for each host of a Route for which the
	// gateway obtains one. It is absent where there is no such host.
	CertificateReady = "CertificateReady"
)

// Reasons of conditions beside those of package config.
const (
	ReasonAccepted            = "Accepted"
	ReasonAllMiddlewaresFound = "AllMiddlewaresFound"
	ReasonApplyFailed         = "ApplyFailed"
	ReasonCertificateIssued   = "CertificateIssued"
	ReasonCertificatePending  = "CertificatePending"
	ReasonConfigGenerated     = "ConfigGenerated"
	ReasonConfigTooLarge      = "ConfigTooLarge"
	ReasonConflict            = "Conflict"
	ReasonDeploymentStatus    = "DeploymentStatus"
	ReasonDisabled            = "Disabled"
	ReasonMiddlewareNotFound  = "MiddlewareNotFound"
	ReasonNoConflict          = "NoConflict"
	ReasonNoReadyPods         = "NoReadyPods"
	ReasonPending             = "Pending"
	ReasonProgrammed          = "Programmed"
	ReasonRejected            = "Rejected"
	ReasonResolvedRefs        = "ResolvedRefs"
	ReasonRollingOut          = "RollingOut"
	ReasonValidationFailed    = "ValidationFailed"
	ReasonValidationPassed    = "ValidationPassed"
)

// maxMessageBytes keeps a message readable; the API server allows eight times as much.
const maxMessageBytes = 4096

// conditions collects the conditions of one object.
type conditions struct {
	list       []metav1.Condition
	generation int64
}

// set adds a condition. The message is cut where it would be too long to read.
func (c *conditions) set(kind string, ok bool, reason, message string) {
	status := metav1.ConditionFalse
	if ok {
		status = metav1.ConditionTrue
	}
	c.list = append(c.list, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: cut(message), ObservedGeneration: c.generation,
	})
}

// merge puts the conditions of wanted into present and keeps what others put
// there. The time of a condition changes only with its status.
func merge(present, wanted []metav1.Condition, now metav1.Time) []metav1.Condition {
	out := append([]metav1.Condition(nil), present...)
	for _, c := range wanted {
		c.LastTransitionTime = now
		meta.SetStatusCondition(&out, c)
	}
	return out
}

// join gives problems as one line.
func join(problems []config.Problem) string {
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = text(p)
	}
	return strings.Join(texts, "; ")
}

// text leaves out the object: the condition stands on it.
func text(p config.Problem) string {
	if p.Field == "" {
		return p.Message
	}
	return p.Field + ": " + p.Message
}

func cut(message string) string {
	if len(message) <= maxMessageBytes {
		return message
	}
	end := maxMessageBytes
	for end > 0 && !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end] + "…"
}

// errorsOf gives the refusals among problems.
func errorsOf(problems []config.Problem) []config.Problem {
	var out []config.Problem
	for _, p := range problems {
		if p.Severity == config.SeverityError {
			out = append(out, p)
		}
	}
	return out
}

// reason gives the reason of the first problem.
func reason(problems []config.Problem) string {
	if len(problems) == 0 || problems[0].Reason == "" {
		return string(config.ReasonInvalid)
	}
	return string(problems[0].Reason)
}
