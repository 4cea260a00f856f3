// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// Expander gives the value of a variable, and whether it is set.
type Expander func(name string) (value string, ok bool)

// OSEnv reads the environment of the process.
func OSEnv(name string) (string, bool) { return os.LookupEnv(name) }

// publicPrefix begins the names that every source may use.
const publicPrefix = "GOMA_PUBLIC_"

// private are the gateway's own credentials: no list makes them readable. T7
var private = []string{
	"GOMA_REDIS_PASSWORD", "GOMA_RELOAD_TOKEN", "GOMA_CONFIG_ENCRYPTION_KEY", "GOMA_CREDENTIALS_API_TOKEN", "VAULT_TOKEN",
	"GIT_TOKEN", "GIT_USERNAME", "GIT_PASSWORD",
}

func isPrivate(name string) bool {
	return slices.Contains(private, name) || strings.HasPrefix(name, "GOMA_GIT_") || strings.HasPrefix(name, "GOMA_HTTP_")
}

// DynamicEnv reads the environment for sources that others than the owner of the
// gateway write to: the names that are allowed, and those that begin with
// GOMA_PUBLIC_. A variable that holds a credential of the gateway is never read.
func DynamicEnv(allowed []string) Expander { return dynamicEnv(allowed, nil) }

// DynamicEnv is that of the file: a variable of which one of its settings makes a
// credential is not read either, whatever its name and whatever list it is on. T7
func (f *File) DynamicEnv() Expander {
	return dynamicEnv(f.Gateway.DynamicEnv, f.credentialVariables())
}

func dynamicEnv(allowed []string, credentials map[string]string) Expander {
	allowed = slices.Clone(allowed)
	return func(name string) (string, bool) {
		_, credential := credentials[name]
		if isPrivate(name) || credential || !strings.HasPrefix(name, publicPrefix) && !slices.Contains(allowed, name) {
			return "", false
		}
		return OSEnv(name)
	}
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand puts the values of variables in place, in parsed scalars only, so that a
// value stays one value whatever is in it. What is not set stays as written. C2
func (n *node) expand(env Expander) {
	if env == nil {
		return
	}
	for _, item := range n.items {
		item.expand(env)
	}
	for _, f := range n.fields {
		f.value.expand(env)
	}
	if n.kind != text || !strings.Contains(n.text, "${") {
		return
	}
	whole := variable.FindString(n.text) == n.text
	n.written = n.text
	expanded := Expand(n.text, env)
	if expanded == n.text {
		return
	}
	typedText := whole && n.plain && typed.MatchString(expanded)
	n.text, n.plain = expanded, false
	if typedText {
		// read: ${T} is a number when T holds one, in its usual spelling. A password
		// such as 007, True or ~ is no number, and stays what it is.
		n.retype(expanded)
	}
}

// typed are the values of variables that are more than text.
var typed = regexp.MustCompile(`^(true|false|-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?)$`)

// Expand puts the values of variables into a text, once: a value is not looked at
// again. Variables that are not set stay as written.
func Expand(s string, env Expander) string {
	return variable.ReplaceAllStringFunc(s, func(reference string) string {
		if value, ok := env(reference[2 : len(reference)-1]); ok {
			return value
		}
		return reference
	})
}

// Unresolved gives the name of a variable that a text still refers to; empty when
// there is none. A credential that has one must not be used.
func Unresolved(s string) string {
	if m := variable.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

// unset gives the name of a variable that a text refers to and that has no value;
// empty when there is none.
func unset(s string, env Expander) string {
	for _, m := range variable.FindAllStringSubmatch(s, -1) {
		if _, ok := env(m[1]); !ok {
			return m[1]
		}
	}
	return ""
}
