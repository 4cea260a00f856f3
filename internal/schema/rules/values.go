// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"
)

// The kinds of values. Free text may hold ${NAME}, so patterns admit it.

// text is a string that must not be empty.
func text(description string) Schema {
	return Schema{Description: description, Type: "string", MinLength: ptr.To[int64](1)}
}

// anyText is a string that may be empty.
func anyText(description string) Schema { return Schema{Description: description, Type: "string"} }

// scalar is text, a number or a boolean: header values and passwords are often
// written without quotes.
func scalar(description string) Schema {
	return Schema{
		Description: description, XPreserveUnknownFields: ptr.To(true),
		MaxItems: ptr.To[int64](0), MaxProperties: ptr.To[int64](0),
	}
}

func flag(description string) Schema { return Schema{Description: description, Type: "boolean"} }

// whole is a whole number, not below lowest.
func whole(description string, lowest float64) Schema {
	return Schema{Description: description, Type: "integer", Minimum: &lowest}
}

// between is a whole number within bounds, both included.
func between(description string, lowest, highest float64) Schema {
	s := whole(description, lowest)
	s.Maximum = &highest
	return s
}

func status(description string) Schema { return between(description, 100, 599) }

// word is one of a few words, in any case.
func word(description string, words ...string) Schema {
	return Schema{
		Description: fmt.Sprintf("%s One of %s, in any case.", description, strings.Join(words, ", ")),
		Type:        "string", Pattern: "^(?i)(" + strings.Join(words, "|") + ")$",
	}
}

// link is an absolute URL.
func link(description string) Schema {
	return Schema{Description: description, Type: "string", Pattern: `^https?://[^\s/?#]|\$\{`}
}

// duration is text such as 10m, or whole seconds.
func duration(description string) Schema {
	return Schema{
		Description: description + " Text such as 1m30s; a whole number is seconds.", XIntOrString: true,
		Pattern: `^([0-9]+([.][0-9]*)?(ns|us|µs|ms|s|m|h))+$|^0$|\$\{`,
	}
}

// size is text such as 10Mi, or whole bytes.
func size(description string) Schema {
	return Schema{
		Description: description + " Text such as 10Mi or 10MB; a whole number is bytes.", XIntOrString: true,
		Pattern: `^[0-9]+([.][0-9]+)?\s*([kKMGTPE]i?)?[bB]?$|\$\{`,
	}
}

// list is a list that must not be empty.
func list(description string, item Schema) Schema {
	s := anyList(description, item)
	s.MinItems = ptr.To[int64](1)
	return s
}

// anyList is a list that may be empty.
func anyList(description string, item Schema) Schema {
	return Schema{Description: description, Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &item}}
}

// texts is a list of strings that may be empty.
func texts(description string) Schema { return anyList(description, text("")) }

// table maps names to scalars.
func table(description string) Schema {
	each := scalar("")
	return Schema{Description: description, Type: "object", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &each}}
}

// object has fields, and keeps others.
func object(description string, fields map[string]Schema, required ...string) Schema {
	return Schema{
		Description: description, Type: "object", XPreserveUnknownFields: ptr.To(true),
		Properties: fields, Required: required,
	}
}

// from names the value of a Secret that stands for the field of the same name
// without From.
func from(field string) Schema {
	return object("Where "+field+" is, in place of writing it here.", map[string]Schema{
		"secretKeyRef": object("A value of a Secret of this namespace.", map[string]Schema{
			"name": text("Name of the Secret."),
			"key":  text("Key of the Secret."),
		}, "name", "key"),
	}, "secretKeyRef")
}

// oneOfTwo admits a field or the Secret in its place, not both. What is no object
// passes: it has no properties. The first branch is there for that, and for its
// message, which names the Secret.
func oneOfTwo(field string) Schema {
	return Schema{AnyOf: []Schema{
		{Properties: map[string]Schema{field + suffix: {MaxProperties: ptr.To[int64](0)}}},
		{Not: &Schema{Required: []string{field, field + suffix}}},
	}}
}
