// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"os"
	"path/filepath"
)

const (
	// envFilesDir names the directory of the files that rules may name.
	envFilesDir     = "GOMA_FILES_DIR"
	defaultFilesDir = "/etc/goma/files"
)

// filesDir is the one directory of which the rules of middlewares may name files:
// that of the variable, or files beside the configuration. T8
func filesDir(configFile string) string {
	switch dir := os.Getenv(envFilesDir); {
	case dir != "":
		return absolute(dir)
	case configFile != "":
		return absolute(filepath.Join(filepath.Dir(configFile), "files"))
	}
	return defaultFilesDir
}
