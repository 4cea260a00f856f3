// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
)

// Problem is one thing a person can put right. The same value becomes a status
// condition, a line of `goma check`, a log record and an entry of the gateway's
// answer, so its text names the way out and never holds a secret.
type Problem struct {
	// Object is what the problem is about.
	Object ObjectRef `json:"object"`
	// Field is where, as the user writes it: spec.backends[1].endpoint.
	Field string `json:"field,omitempty"`
	// Reason is one of the fixed list below; it becomes a condition's reason.
	Reason Reason `json:"reason"`
	// Message says what is wrong and how to put it right.
	Message string `json:"message"`
	// Severity tells a refusal from a note. The zero value is Error.
	Severity Severity `json:"severity,omitempty"`
	// Position is where the field, or what should hold it, is written; zero when not
	// in a file.
	Position Position `json:"position,omitzero"`
}

// ObjectRef names an object of the configuration and the source it came from.
type ObjectRef struct {
	// Kind is Gateway, Route, Middleware, Secret or File.
	Kind string `json:"kind"`
	// Namespace is empty for objects that do not come from Kubernetes.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	// Source is static, extra, file, http, git or kubernetes.
	Source string `json:"source,omitempty"`
}

// Position is a place in a file; Line and Column start at 1.
type Position struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// Severity ranks problems.
type Severity string

const (
	// SeverityError is a refusal: the object, or its dependant, is not served.
	SeverityError Severity = ""
	// SeverityWarning is served all the same, but probably not what was meant.
	SeverityWarning Severity = "warning"
	// SeverityNote tells that a field is accepted and without effect.
	SeverityNote Severity = "note"
)

// Reason is why, in one CamelCase word.
type Reason string

// The reasons. Each becomes the reason of a status condition.
const (
	// ReasonInvalid is a value that cannot be used: the object is set aside.
	ReasonInvalid Reason = "Invalid"
	// ReasonUnknownField is a key that nobody reads, most often a typing error.
	ReasonUnknownField Reason = "UnknownField"
	// ReasonDuplicateName is a second object of a name; the first serves.
	ReasonDuplicateName Reason = "DuplicateName"
	// ReasonConflicted is a second route with the same match, of which the older
	// serves, or an object whose name one of a source of higher rank has.
	ReasonConflicted Reason = "Conflicted"
	// ReasonMiddlewareNotFound is a route that names a missing middleware: it answers 503.
	ReasonMiddlewareNotFound Reason = "MiddlewareNotFound"
	// ReasonMiddlewareInvalid is a route whose middleware cannot be built: it answers 503.
	ReasonMiddlewareInvalid Reason = "MiddlewareInvalid"
	// ReasonSecretNotFound is a route whose Secret, or certificate file, is missing: it answers 503.
	ReasonSecretNotFound Reason = "SecretNotFound"
	// ReasonSecretInvalid is a Secret or file whose content cannot be used.
	ReasonSecretInvalid Reason = "SecretInvalid"
	// ReasonGatewayNotFound is a route that names a missing Gateway.
	ReasonGatewayNotFound Reason = "GatewayNotFound"
	// ReasonUnsupported is a well-formed wish that this build cannot fulfil.
	ReasonUnsupported Reason = "Unsupported"
	// ReasonCertificate is a host for which no certificate could be obtained, or not
	// the next one: the route serves, with what there is.
	ReasonCertificate Reason = "CertificateNotReady"
	// ReasonUnreadable is a file or source that could not be read or parsed.
	ReasonUnreadable Reason = "Unreadable"
	// ReasonIgnored is a field that is accepted and without effect.
	ReasonIgnored Reason = "Ignored"
	// ReasonOmitted stands for the problems of a document that are not listed.
	ReasonOmitted Reason = "Omitted"
)

// String gives the problem as one line:
// file:line:column: Kind namespace/name: field: message (Reason).
func (p Problem) String() string {
	var b strings.Builder
	if p.Position.File != "" {
		b.WriteString(p.Position.String() + ": ")
	}
	if o := p.Object.String(); o != "" {
		b.WriteString(o + ": ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	fmt.Fprintf(&b, "%s (%s)", p.Message, p.Reason)
	return b.String()
}

// String gives Kind namespace/name, leaving out what is empty.
func (o ObjectRef) String() string {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + name
	}
	return strings.TrimSpace(o.Kind + " " + name)
}

// String gives file:line:column, leaving out what is unknown.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// HasErrors reports whether any of the problems is a refusal.
func HasErrors(problems []Problem) bool {
	for _, p := range problems {
		if p.Severity == SeverityError {
			return true
		}
	}
	return false
}
