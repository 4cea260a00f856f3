// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package crds embeds the generated CustomResourceDefinitions, so that programs
// without a cluster apply the same schema as the API server.
package crds

import "embed"

// Files holds one YAML file for each kind.
//
//go:embed *.yaml
var Files embed.FS
