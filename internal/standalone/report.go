// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"fmt"
	"io"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Line gives a problem as a compiler would:
//
//	file:line:column: error: Kind namespace/name: field: message (Reason)
func Line(p config.Problem) string {
	severity := "error"
	if p.Severity != config.SeverityError {
		severity = string(p.Severity)
	}
	at := p.Position.String()
	p.Position = config.Position{}
	if p.Object.Kind == "File" {
		p.Object = config.ObjectRef{} // its name is in front
	}
	if at == "" {
		return severity + ": " + p.String()
	}
	return at + ": " + severity + ": " + p.String()
}

// Print writes problems, one a line.
func Print(w io.Writer, problems []config.Problem) {
	for _, p := range problems {
		fmt.Fprintln(w, Line(p)) //nolint:errcheck // what cannot be printed is in the exit code
	}
}

// Summary counts: "2 files, 5 objects: 1 error, 2 warnings".
func Summary(o *Objects, problems []config.Problem) string {
	counts := map[config.Severity]int{}
	for _, p := range problems {
		counts[p.Severity]++
	}
	var found []string
	for _, s := range []struct {
		severity config.Severity
		word     string
	}{{config.SeverityError, "error"}, {config.SeverityWarning, "warning"}, {config.SeverityNote, "note"}} {
		if n := counts[s.severity]; n > 0 {
			found = append(found, count(n, s.word))
		}
	}
	text := count(o.Files, "file") + ", " + count(o.Count, "object") + ": "
	if len(found) == 0 {
		return text + "ok"
	}
	return text + strings.Join(found, ", ")
}

// count gives a number with its word: 1 file, 2 files.
func count(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}
