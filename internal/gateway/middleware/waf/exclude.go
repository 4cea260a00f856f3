// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package waf

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
)

// The numbers of the rules that may be taken out: those of the rule set that look
// for attacks, and not those that prepare and decide.
const (
	firstRule = 911100
	lastRule  = 948999
)

// firstExclusion starts the numbers of our own rules that take others out.
const firstExclusion = 10_000

// What tags and names of arguments are made of, beside letters and digits. It is
// put into a directive, and nothing may end the text that it stands in.
const (
	inTags      = "_./-"
	inArguments = "_.[]-"
)

const longestWord = 100

// isWord tells whether a text is letters, digits and some others.
func isWord(text, others string) bool {
	return text != "" && len(text) <= longestWord && !strings.ContainsFunc(text, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune(others, r)
	})
}

// exclude gives the directives of all exclusions, as one text.
func exclude(list []Exclusion) (directives string, problems []config.Problem) {
	var out strings.Builder
	for i, e := range list {
		at := fmt.Sprintf("exclusions[%d]", i)
		controls, more := e.controls(at)
		problems = append(problems, more...)
		condition, more := e.condition(at)
		problems = append(problems, more...)
		if len(e.Rules)+len(e.Tags) == 0 {
			problems = append(problems, definition.Invalid(at, "names neither rules nor tags; to leave paths alone altogether use paths of the middleware"))
		}
		fmt.Fprintf(&out, "%s \"id:%d,phase:1,pass,t:none,nolog%s\"\n", condition, firstExclusion+i, strings.Join(controls, ""))
	}
	return out.String(), problems
}

// controls are the actions that take the rules out for one request.
func (e Exclusion) controls(at string) (actions []string, problems []config.Problem) {
	var targets []string
	for i, name := range e.Arguments {
		if !isWord(name, inArguments) {
			problems = append(problems, definition.Invalid(fmt.Sprintf("%s.arguments[%d]", at, i), "%q is no name that can be excluded; use letters, digits and _ . - [ ]", name))
		}
		targets = append(targets, ";ARGS:"+name)
	}
	add := func(what, which string) {
		if len(targets) == 0 {
			actions = append(actions, fmt.Sprintf(",ctl:ruleRemove%s=%s", what, which))
		}
		for _, target := range targets {
			actions = append(actions, fmt.Sprintf(",ctl:ruleRemoveTarget%s=%s%s", what, which, target))
		}
	}
	for i, text := range e.Rules {
		if !isRange(string(text)) {
			problems = append(problems, definition.Invalid(fmt.Sprintf("%s.rules[%d]", at, i),
				"%q is no rule; write a number, or a range such as 942000-942999, within %d to %d", text, firstRule, lastRule))
		}
		add("ById", string(text))
	}
	for i, tag := range e.Tags {
		if !isWord(tag, inTags) {
			problems = append(problems, definition.Invalid(fmt.Sprintf("%s.tags[%d]", at, i), "%q is no tag; write one such as attack-sqli", tag))
		}
		add("ByTag", tag)
	}
	return actions, problems
}

// isRange tells whether a text is a number of a rule, or two with a dash between.
func isRange(text string) bool {
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		last = first
	}
	a, okA := ruleNumber(first)
	b, okB := ruleNumber(last)
	// A range may begin with the round number of a family, such as 942000.
	return okA && okB && a <= b && a >= firstRule/1000*1000 && b <= lastRule
}

func ruleNumber(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && strconv.Itoa(n) == text
}

// condition says for which requests an exclusion is.
func (e Exclusion) condition(at string) (directive string, problems []config.Problem) {
	if len(e.Paths) == 0 {
		return "SecAction", nil
	}
	var parts []string
	for i, path := range e.Paths {
		pattern, err := expression(path)
		if err != nil {
			problems = append(problems, definition.Invalid(fmt.Sprintf("%s.paths[%d]", at, i), "%v", err))
			continue
		}
		parts = append(parts, pattern)
	}
	return fmt.Sprintf("SecRule REQUEST_FILENAME \"@rx %s\"", strings.Join(parts, "|")), problems
}

// expression matches what the entry of a list of paths covers; see package scope.
func expression(path string) (string, error) {
	if _, err := scope.Compile([]string{path}, ""); err != nil {
		_, message, _ := strings.Cut(err.Error(), ": ")
		return "", fmt.Errorf("%s", message)
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r == '"' || r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%q holds a quotation mark or a control character", path)
	}
	plain := strings.TrimSuffix(strings.TrimSuffix(path, "/*"), "/.*")
	if strings.ContainsAny(plain, `^$*+?()[]|\`) {
		return "^(?:" + path + ")$", nil
	}
	return "(?i)^" + regexp.QuoteMeta(strings.TrimSuffix(plain, "/")) + "(?:/.*)?$", nil
}
