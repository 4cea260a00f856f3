// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
)

// release is what a chart is rendered for.
type release struct {
	Name, Namespace string
	// Values replace those of the chart.
	Values map[string]any
	// Kubernetes is the version of the cluster; empty for a present one.
	Kubernetes string
}

// present is the version of Kubernetes that manifests are made for.
const present = "v1.37.0"

// render gives the objects of a chart in the order in which Helm installs them,
// as "helm template" does.
func render(folder string, r release) ([]string, error) {
	files, err := r.files(folder)
	if err != nil {
		return nil, err
	}
	for name := range files {
		if strings.HasSuffix(name, ".txt") {
			delete(files, name)
		}
	}
	_, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, fmt.Errorf("reading what chart %s gives: %w", folder, err)
	}
	var out []string
	for _, m := range manifests {
		out = append(out, m.Content)
	}
	return out, nil
}

// notes is what Helm prints after an installation.
func notes(folder string, r release) (string, error) {
	files, err := r.files(folder)
	if err != nil {
		return "", err
	}
	for name, text := range files {
		if path.Base(name) == "NOTES.txt" {
			return text, nil
		}
	}
	return "", fmt.Errorf("chart %s has no notes", folder)
}

// files renders each template.
func (r release) files(folder string) (map[string]string, error) {
	chart, err := loader.Load(folder)
	if err != nil {
		return nil, fmt.Errorf("reading chart %s: %w", folder, err)
	}
	able := common.DefaultCapabilities.Copy()
	version, err := common.ParseKubeVersion(cmp.Or(r.Kubernetes, present))
	if err != nil {
		return nil, fmt.Errorf("version %q of Kubernetes: %w", r.Kubernetes, err)
	}
	able.KubeVersion = *version
	values, err := util.ToRenderValues(chart, r.Values, common.ReleaseOptions{Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: true}, able)
	if err != nil {
		return nil, fmt.Errorf("values of chart %s: %w", folder, err)
	}
	files, err := engine.Render(chart, values)
	if err != nil {
		return nil, fmt.Errorf("rendering chart %s: %w", folder, err)
	}
	return files, nil
}
