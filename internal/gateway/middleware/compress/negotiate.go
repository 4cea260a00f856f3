// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package compress

import (
	"strconv"
	"strings"
)

// choose picks the encoding that the client weighs highest (RFC 9110 §12.5.3); of
// those weighed alike the first of ours. It gives none where the client names none
// of them, or likes its bodies better as they are.
func choose(accept []string, ours []encoding) encoding {
	if len(accept) == 0 {
		return none
	}
	best, weight := none, 0.0
	for _, e := range ours {
		if q, named := weigh(accept, string(e)); named && q > weight {
			best, weight = e, q
		}
	}
	if exactly(accept, "identity") {
		if q, _ := weigh(accept, "identity"); q > weight {
			return none
		}
	}
	return best
}

// weigh gives the weight of a coding: its own, or that of the asterisk.
func weigh(accept []string, coding string) (q float64, named bool) {
	rest, any := 0.0, false
	for _, line := range accept {
		for member := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(member, ";")
			name = strings.TrimSpace(name)
			switch {
			case strings.EqualFold(name, coding) || coding == string(gzips) && strings.EqualFold(name, "x-gzip"):
				return quality(parameters), true
			case name == "*":
				rest, any = quality(parameters), true
			}
		}
	}
	return rest, any
}

// exactly tells a coding that is named from one that the asterisk stands for.
func exactly(accept []string, coding string) bool {
	for _, line := range accept {
		for member := range strings.SplitSeq(line, ",") {
			if name, _, _ := strings.Cut(member, ";"); strings.EqualFold(strings.TrimSpace(name), coding) {
				return true
			}
		}
	}
	return false
}

// quality reads a weight. A malformed one counts as refusal: better a larger answer
// than one that cannot be read.
func quality(parameters string) float64 {
	if strings.TrimSpace(parameters) == "" {
		return 1
	}
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, ok := strings.Cut(p, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
