// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"cmp"
	"os"
	"path/filepath"
)

const (
	// envFilesDir names the directory of the files that rules may name.
	envFilesDir     = "GOMA_FILES_DIR"
	defaultFilesDir = "/etc/goma/files"
	// envRouteFiles names the directory of certificates of goma-k8s-provider, which
	// reads the same variable.
	envRouteFiles     = "GOMA_K8S_CERTS_DIR"
	defaultRouteFiles = "/etc/goma/route-certs"
	// envSecretsDir names the directory of the Secrets that middlewares name.
	envSecretsDir = "GOMA_SECRETS_DIR"
	// envStoreSocket is where the process beside this one keeps certificates for all
	// replicas, which have no Redis.
	envStoreSocket = "GOMA_CERT_STORE_SOCKET"
)

// routeFiles is the one directory, beside that of files, of which the routes of a
// cluster may name files. T8
func routeFiles(o Options) string {
	return absolute(cmp.Or(o.RouteFiles, os.Getenv(envRouteFiles), defaultRouteFiles))
}

// filesDir is the one directory of which the rules of middlewares, and routes of an
// address or a repository, may name files: that of the variable, or files beside
// the configuration. T8
func filesDir(configFile string) string {
	switch dir := os.Getenv(envFilesDir); {
	case dir != "":
		return absolute(dir)
	case configFile != "":
		return absolute(filepath.Join(filepath.Dir(configFile), "files"))
	}
	return defaultFilesDir
}

// secretsDir has a file NAME/KEY for each value of a Secret that a middleware names;
// empty where Secrets are not known, which is everywhere but in Kubernetes and in
// goma up.
func secretsDir(o Options) string {
	if o.SecretsDir != "" {
		return absolute(o.SecretsDir)
	}
	return absolute(os.Getenv(envSecretsDir))
}
