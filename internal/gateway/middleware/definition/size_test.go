// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package definition

import "testing"

func TestASizeHasAUnit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "512": 512, "1K": 1000, "1KB": 1000, "1Ki": 1024, "1KiB": 1024, "10Mi": 10 << 20, "5MB": 5e6, " 2 GiB ": 2 << 30,
		"1T": 1e12, "1Ti": 1 << 40, "1P": 1e15, "7Ei": 7 << 60, "9E": 9e18, "12B": 12,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "Mi", "-1", "1.5M", "1k", "1Mib", "1 M B", "10E", "8Ei", "0x10", "1_000", "99999999999999999999"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("10Mi")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := ParseSize(text); err == nil && n < 0 {
			t.Fatalf("%q is %d", text, n)
		}
	})
}
