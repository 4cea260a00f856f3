// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"fmt"
	"strconv"
	"strings"

	"gateway.jkaninda.dev/goma/internal/gateway/normal"
)

// hostForm is how a pattern takes a host.
type hostForm uint8

const (
	// exactly takes the host that is the suffix.
	exactly hostForm = iota
	// oneLabel takes hosts with exactly one label before the suffix.
	oneLabel
	// manyLabels takes hosts with one or more labels before the suffix. With
	// an empty suffix it takes any host, and also a request without one.
	manyLabels
)

// hostPattern is a host of a route in comparable form; two spellings of one
// pattern are equal. The zero value is not a pattern.
type hostPattern struct {
	suffix string
	form   hostForm
	// port is 0 for any.
	port uint16
}

// anyHost is the pattern of a route that names no host.
var anyHost = hostPattern{form: manyLabels}

// parseHost reads a host as users write it.
func parseHost(text string) (hostPattern, error) {
	name, port, err := cutPort(strings.TrimSpace(text))
	if err != nil {
		return hostPattern{}, err
	}
	p := hostPattern{port: port}
	switch {
	case name == "*":
		p.form = manyLabels
		return p, nil
	case strings.HasPrefix(name, "*."):
		p.form, name = manyLabels, name[2:]
	case strings.HasPrefix(name, "{"):
		label, rest, ok := strings.Cut(name[1:], "}")
		if !ok || rest != "" && rest[0] != '.' {
			return hostPattern{}, fmt.Errorf("%q is not a host; a placeholder is a whole label, like {sub}.example.com", text)
		}
		p.form = oneLabel
		if strings.HasSuffix(label, "...") {
			label, p.form = strings.TrimSuffix(label, "..."), manyLabels
		}
		if !placeholderName(label) {
			return hostPattern{}, fmt.Errorf("%q is not a host; name the placeholder with letters, digits and _", text)
		}
		if rest == "" {
			return p, nil
		}
		name = rest[1:]
	}
	if strings.Count(name, ":") > 1 && !strings.HasPrefix(name, "[") {
		name = "[" + name + "]"
	}
	canonical, err := normal.Host(name)
	if err != nil {
		return hostPattern{}, fmt.Errorf("%q is not a host; write a name like api.example.com, *.example.com, "+
			"{sub}.example.com, with or without a port", text)
	}
	p.suffix = canonical
	return p, nil
}

// cutPort parts the port from a host pattern, leaving IPv6 addresses whole.
func cutPort(text string) (name string, port uint16, err error) {
	i := strings.LastIndexByte(text, ':')
	bare6 := strings.Count(text, ":") > 1 && !strings.HasPrefix(text, "[")
	if i < 0 || bare6 || strings.HasSuffix(text, "]") {
		return text, 0, nil
	}
	n, err := strconv.ParseUint(text[i+1:], 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q has no valid port; a port is a number from 1 to 65535", text)
	}
	return text[:i], uint16(n), nil
}

func placeholderName(s string) bool {
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != ""
}

// String gives the pattern as it would be written.
func (p hostPattern) String() string {
	var s string
	switch {
	case p.form == manyLabels && p.suffix == "":
		s = "*"
	case p.form == manyLabels:
		s = "*." + p.suffix
	case p.form == oneLabel && p.suffix == "":
		s = "{label}"
	case p.form == oneLabel:
		s = "{label}." + p.suffix
	default:
		s = p.suffix
	}
	if p.port != 0 {
		s += ":" + strconv.Itoa(int(p.port))
	}
	return s
}

// eachHost calls visit with every pattern that takes host, the most specific
// first, until visit reports false. The number of calls depends on the labels of
// the host only.
func eachHost(host string, visit func(hostPattern) bool) {
	name, port := normal.SplitPort(host)
	both := func(suffix string, form hostForm) bool {
		if port != 0 && !visit(hostPattern{suffix, form, port}) {
			return false
		}
		return visit(hostPattern{suffix, form, 0})
	}
	if name == "" || name[0] == '[' {
		if name != "" && !both(name, exactly) {
			return
		}
		both("", manyLabels)
		return
	}
	if !both(name, exactly) {
		return
	}
	for suffix, first := name, true; ; first = false {
		_, rest, more := strings.Cut(suffix, ".")
		if !more {
			rest = ""
		}
		if first && !both(rest, oneLabel) || !both(rest, manyLabels) {
			return
		}
		if !more {
			return
		}
		suffix = rest
	}
}
