// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"encoding/json"
	"fmt"

	"gateway.jkaninda.dev/goma/internal/config"
)

// served gives the Bundle in the form that the gateway reads it from its sidecar:
// decoded by the same loader, with the few variables that Routes and Middlewares
// may use. What each object is and where it comes from is kept.
func served(b *config.Bundle, env config.Expander) (*config.Bundle, []config.Problem, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding routes and middlewares: %w", err)
	}
	out, problems, err := config.ParseBundle("", text, config.LoadOptions{Env: env, Source: config.SourceKubernetes.String()})
	if err != nil {
		return nil, problems, fmt.Errorf("decoding routes and middlewares: %w", err)
	}
	routes, middlewares := map[string]config.Meta{}, map[string]config.Meta{}
	for _, r := range b.Routes {
		routes[r.Name] = r.Meta
	}
	for _, m := range b.Middlewares {
		middlewares[m.Name] = m.Meta
	}
	for _, r := range out.Routes {
		r.Meta = routes[r.Name]
	}
	for _, m := range out.Middlewares {
		m.Meta = middlewares[m.Name]
	}
	for i := range problems {
		problems[i].Position = config.Position{} // of a text that nobody has written
	}
	return out, problems, nil
}
