// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import _ "embed"

//go:embed sample.yml
var sample []byte

// Sample gives a commented main file to begin with. It holds no credentials, and
// loads without a problem.
func Sample() []byte { return append([]byte(nil), sample...) }
