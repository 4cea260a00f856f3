// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
)

// pack writes the charts of a version, which is that of the images too.
func pack(root, version, out string) error {
	for _, folder := range []string{"chart-crds", "chart"} {
		chart, err := loader.LoadDir(filepath.Join(root, "deploy", folder))
		if err != nil {
			return fmt.Errorf("reading %s: %w", folder, err)
		}
		chart.Metadata.Version = strings.TrimPrefix(version, "v")
		chart.Metadata.AppVersion = version
		if err := chart.Validate(); err != nil {
			return fmt.Errorf("version %q: %w", version, err)
		}
		if _, err := chartutil.Save(chart, out); err != nil {
			return fmt.Errorf("writing %s: %w", folder, err)
		}
	}
	return nil
}
