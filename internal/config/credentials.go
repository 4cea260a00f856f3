// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// credentials notes the variables that are, or are part of, a credential of the
// settings, and where. T7
func (d *decoder) credentials(n *node, t reflect.Type, path, value string) {
	if d.secrets == nil {
		return
	}
	written := n.text
	if n.written != "" {
		written = n.written
	}
	switch t {
	case secretType:
	case keyType:
		if strings.Contains(variable.ReplaceAllString(written, ""), "/") || strings.HasPrefix(value, "/") {
			return // a path
		}
	default:
		written = secretPart(written)
	}
	for _, m := range variable.FindAllStringSubmatch(written, -1) {
		if _, ok := d.secrets[m[1]]; !ok {
			d.secrets[m[1]] = path
		}
	}
}

// secretPart gives what may be secret in the URL of a source: its user and its query.
func secretPart(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, _, _ := strings.Cut(rest, "/")
	user := ""
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user = authority[:i]
	}
	return user + " " + query
}

// credentialVariables gives the variables of which settings make a credential, and
// a field that does: those that were put in when the file was read, and those that
// still stand in it.
func (f *File) credentialVariables() map[string]string {
	all := maps.Clone(f.secrets)
	if all == nil {
		all = map[string]string{}
	}
	g := f.Gateway
	g.Routes = nil
	walkSecrets(reflect.ValueOf(g), "gateway", all)
	walkSecrets(reflect.ValueOf(f.CertManager), "certManager", all)
	return all
}

func walkSecrets(v reflect.Value, path string, found map[string]string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walkSecrets(v.Elem(), path, found)
		}
	case reflect.Struct:
		for key, index := range fieldsOf(v.Type()) {
			walkSecrets(v.Field(index), join(path, key), found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkSecrets(v.Index(i), fmt.Sprintf("%s[%d]", path, i), found)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			walkSecrets(v.MapIndex(key), join(path, key.String()), found)
		}
	case reflect.String:
		if v.Type() != secretType {
			return
		}
		text := v.Interface().(Secret).Reveal()
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			found[m[1]] = path
		}
	default:
	}
}

// dynamicEnv checks that no variable is both a credential of the gateway and
// readable for those who write routes. T7
func (f *findings) dynamicEnv(g *Gateway, credentials map[string]string) {
	for i, name := range g.DynamicEnv {
		field := fmt.Sprintf("gateway.dynamicEnv[%d]", i)
		setting, credential := credentials[name]
		switch {
		case variable.FindString("${"+name+"}") == "":
			f.invalid(field, "%q is not the name of a variable", name)
		case isPrivate(name):
			f.invalid(field, "%s is a credential of the gateway, which routes and middlewares of others must not read; take it from the list", name)
		case credential:
			f.invalid(field, "%s is a credential of the gateway, at %s, which routes and middlewares of others must not read; take it from the list, or use another variable there",
				name, setting)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(credentials)) {
		if strings.HasPrefix(name, publicPrefix) {
			f.warn(credentials[name], "the variable %s has the name of one that every source may read; none will, but give the credential another name", name)
		}
	}
}
