// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gateway.jkaninda.dev/goma/internal/config"
)

// ReportAnnotation is where a pod of a gateway carries its Report.
const ReportAnnotation = "goma.jkaninda.dev/applied"

const (
	// maxReportBytes keeps the annotation far below what a pod may carry.
	maxReportBytes = 16 << 10
	// maxMessageBytes keeps one long message from taking the room of the others.
	maxMessageBytes = 512
)

// Report is an Answer in the form and size of an annotation.
type Report struct {
	Generation  uint64           `json:"generation"`
	Checksum    string           `json:"checksum"`
	Routes      int              `json:"routes"`
	Middlewares int              `json:"middlewares"`
	Problems    []config.Problem `json:"problems,omitempty"`
	// Truncated says that there are more problems than are listed.
	Truncated bool   `json:"truncated,omitempty"`
	Version   string `json:"version,omitempty"`
}

// NewReport makes the report of an answer: errors before warnings, no notes, and
// as many as there is room for.
func NewReport(a Answer) Report {
	r := Report{
		Generation: a.Generation, Checksum: a.Checksum,
		Routes: a.Routes, Middlewares: a.Middlewares, Version: a.Version,
	}
	problems := slices.DeleteFunc(slices.Clone(a.Problems), func(p config.Problem) bool {
		return p.Severity == config.SeverityNote
	})
	slices.SortStableFunc(problems, compareProblems)
	room := maxReportBytes - len(r.Encode()) - len(`,"problems":[],"truncated":true`)
	for _, p := range problems {
		p.Message = cut(p.Message)
		text, err := plainJSON(p)
		if err != nil || len(text) > room {
			r.Truncated = true
			break
		}
		room -= len(text)
		r.Problems = append(r.Problems, p)
	}
	return r
}

// compareProblems puts errors first and the rest in an order that does not
// change from one report to the next.
func compareProblems(a, b config.Problem) int {
	return cmp.Or(
		strings.Compare(string(a.Severity), string(b.Severity)),
		strings.Compare(a.Object.Kind, b.Object.Kind),
		strings.Compare(a.Object.Name, b.Object.Name),
		strings.Compare(a.Field, b.Field),
		strings.Compare(a.Message, b.Message),
	)
}

// cut shortens a message at a whole character.
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

// Encode gives the text of the annotation.
func (r Report) Encode() string {
	text, err := plainJSON(r)
	if err != nil {
		// Numbers and strings can always be encoded.
		panic(err)
	}
	return strings.TrimSuffix(string(text), "\n")
}

// ParseReport reads the text of an annotation.
func ParseReport(text string) (Report, error) {
	var r Report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return Report{}, fmt.Errorf("reading the report of a gateway: %w", err)
	}
	return r, nil
}
