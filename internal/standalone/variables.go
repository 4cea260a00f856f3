// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"gateway.jkaninda.dev/goma/internal/config"
)

// variables are those from Secrets. They change while the gateway reads them.
type variables struct {
	current atomic.Pointer[map[string]string]
}

func (v *variables) set(env map[string]string) { v.current.Store(&env) }

// expander reads these variables first, and then others.
func (v *variables) expander(others config.Expander) config.Expander {
	return func(name string) (string, bool) {
		return expander(*v.current.Load(), others)(name)
	}
}

// fingerprint changes with the variables and tells nothing of them to those who
// do not know them.
func fingerprint(env map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		_, _ = fmt.Fprintf(h, "%q%q", name, env[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}
