// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// From ends the name of a field that stands for another one of its object:
// passwordFrom says where password is.
const From = "From"

// SecretKey is one value of a Secret. Which namespace it is in follows from who
// names it.
type SecretKey struct{ Name, Key string }

// RuleSecret is a place of a rule where a Secret stands for a value.
type RuleSecret struct {
	// Field is that of the value, such as users[0].password.
	Field string
	SecretKey
}

// RuleSecrets finds where a rule names Secrets. Fields are those that may be in
// one, such as users[].password: beside each may stand, in its place, the same name
// with From at its end and {secretKeyRef: {name, key}} as its value. Fields of
// problems start with "rule". A rule that is no object has none.
func RuleSecrets(rule json.RawMessage, fields []string) ([]RuleSecret, []Problem) {
	found, problems, _ := walkRule(rule, fields, nil)
	return found, problems
}

// FillRule gives the rule with values in the places of its Secrets, encoded anew.
// A rule without any is given back as it is.
func FillRule(rule json.RawMessage, fields []string, value func(RuleSecret) string) json.RawMessage {
	found, problems, root := walkRule(rule, fields, value)
	if len(found) == 0 || len(problems) > 0 {
		return rule
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(root) != nil {
		return rule
	}
	return bytes.TrimSpace(b.Bytes())
}

// ruleWalk looks for references, and fills them in if value is set.
type ruleWalk struct {
	value    func(RuleSecret) string
	found    []RuleSecret
	problems []Problem
}

func walkRule(rule json.RawMessage, fields []string, value func(RuleSecret) string) ([]RuleSecret, []Problem, any) {
	if len(fields) == 0 || !bytes.Contains(rule, []byte("{")) {
		return nil, nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(rule))
	d.UseNumber()
	var root any
	if d.Decode(&root) != nil {
		return nil, nil, nil // whoever reads the rule says what is wrong with it
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, nil
	}
	w := ruleWalk{value: value}
	for _, field := range fields {
		w.step(root, "", strings.Split(field, "."))
	}
	return w.found, w.problems, root
}

// step follows the names of a field to the objects that may have it.
func (w *ruleWalk) step(at any, path string, names []string) {
	object, ok := at.(map[string]any)
	if !ok {
		return
	}
	if len(names) == 1 {
		w.object(object, path, names[0])
		return
	}
	name, list := strings.CutSuffix(names[0], "[]")
	key, ok := keyOf(object, name)
	if !ok {
		return
	}
	if !list {
		w.step(object[key], under(path, name), names[1:])
		return
	}
	items, _ := object[key].([]any)
	for i, item := range items {
		w.step(item, fmt.Sprintf("%s[%d]", under(path, name), i), names[1:])
	}
}

// object looks at the object that has the field.
func (w *ruleWalk) object(object map[string]any, path, name string) {
	from, ok := keyOf(object, name+From)
	if !ok || object[from] == nil {
		return
	}
	field := under(path, name)
	if key, both := keyOf(object, name); both && object[key] != nil {
		w.refuse(field+From, fmt.Sprintf("stands beside %s; give one of the two", name))
		return
	}
	ref, ok := w.reference(object[from], field+From)
	if !ok {
		return
	}
	found := RuleSecret{Field: field, SecretKey: ref}
	w.found = append(w.found, found)
	if w.value != nil {
		delete(object, from)
		object[name] = w.value(found)
	}
}

// reference reads {secretKeyRef: {name, key}}, and nothing else.
func (w *ruleWalk) reference(at any, field string) (ref SecretKey, ok bool) {
	const want = "must be {secretKeyRef: {name: NAME, key: KEY}} with the name of a Secret and one of its keys"
	outer, _ := at.(map[string]any)
	inner, _ := outer["secretKeyRef"].(map[string]any)
	ref.Name, _ = inner["name"].(string)
	ref.Key, _ = inner["key"].(string)
	if len(outer) != 1 || len(inner) != 2 || ref.Name == "" || ref.Key == "" {
		w.refuse(field, want)
		return ref, false
	}
	return ref, true
}

func (w *ruleWalk) refuse(field, message string) {
	w.problems = append(w.problems, Problem{Field: "rule." + field, Reason: ReasonInvalid, Message: message})
}

// keyOf finds a key in any case, as package json does, the exact one first.
func keyOf(object map[string]any, name string) (string, bool) {
	if _, ok := object[name]; ok {
		return name, true
	}
	for key := range object {
		if strings.EqualFold(key, name) {
			return key, true
		}
	}
	return "", false
}

func under(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
