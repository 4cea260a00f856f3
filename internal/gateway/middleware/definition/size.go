// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package definition

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units are the factors of the units of a size, without the B that may follow.
var units = map[string]int64{
	"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
	"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60,
}

// ParseSize reads a whole number of bytes with a unit: 10Mi or 10MiB is binary, 10M
// or 10MB decimal, a bare number bytes.
func ParseSize(text string) (int64, error) {
	text = strings.TrimSpace(text)
	digits := strings.TrimRightFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	factor, ok := units[strings.TrimSuffix(strings.TrimSpace(text[len(digits):]), "B")]
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case text == "":
		return 0, fmt.Errorf("is missing; write a size such as 10Mi or 5MB")
	case err != nil || n < 0 || !ok:
		return 0, fmt.Errorf("%q is not a size; write it like 10Mi or 5MB", text)
	case n > math.MaxInt64/factor:
		return 0, fmt.Errorf("%q is more than can be counted", text)
	}
	return n * factor, nil
}
