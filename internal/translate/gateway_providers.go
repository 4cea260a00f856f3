// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"k8s.io/apimachinery/pkg/types"

	"gateway.jkaninda.dev/goma/api/v1alpha1"
	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// providers turns on the source that reads the sidecar's files. The HTTP and
// Git sources are not part of this build: a gateway that were told of them
// would refuse to start, so they stay out of the file and are reported.
func providers(out *config.Providers, gw *v1alpha1.Gateway) []config.Problem {
	if SidecarEnabled(gw) {
		out.File = &config.FileProvider{Enabled: true, Directory: ProviderDir, Watch: true, Indexed: true}
	}
	p := gw.Spec.Providers
	if p == nil {
		return nil
	}
	var problems []config.Problem
	if p.HTTP != nil && p.HTTP.Enabled {
		problems = append(problems, unsupportedProvider(gw, "http"))
	}
	if p.Git != nil && p.Git.Enabled {
		problems = append(problems, unsupportedProvider(gw, "git"))
	}
	return problems
}

func unsupportedProvider(gw *v1alpha1.Gateway, name string) config.Problem {
	return config.Problem{
		Object: gatewayRef(gw),
		Field:  "spec.providers." + name + ".enabled",
		Reason: config.ReasonUnsupported,
		Message: "this build cannot read routes from the " + name + " provider; set enabled: false " +
			"and deliver them as Route objects",
	}
}

func gatewayRef(gw *v1alpha1.Gateway) config.ObjectRef {
	return resolve.GatewayRef(types.NamespacedName{Namespace: gw.Namespace, Name: gw.Name})
}
