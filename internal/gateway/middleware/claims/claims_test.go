// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package claims

import "testing"

const token = `{"sub":"ann","id":9007199254740993,"ratio":1.50,"big":1e3,"whole":5.0,"on":true,"off":false,"none":null,"empty":"",
"roles":["a",1,null,{"x":1},"b"],"user":{"id":7,"org":{"name":"acme"}},"https://a.test/tenant":"t1","user.id":"literal",
"bad":"a\r\nX-Admin: 1","nul":"a\u0000","utf":"é","nothing":[]}`

func TestAClaimIsFoundByItsPath(t *testing.T) { // P8, P9
	t.Parallel()
	s, err := Decode([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"sub": "ann", "id": "9007199254740993", "ratio": "1.5", "big": "1000", "whole": "5", "on": "true", "off": "false",
		"none": "", "empty": "", "roles": "a,1,b", "user.org.name": "acme", "https://a.test/tenant": "t1", "user.id": "literal",
		"bad": "", "nul": "", "utf": "é", "nothing": "", "absent": "", "user": "", "user.org": "", "user.org.name.x": "", "sub.x": "", "": "", ".": "",
	} {
		if got := s.Header(path); got != want {
			t.Errorf("%q is %q, want %q", path, got, want)
		}
	}
	for path, want := range map[string]bool{"sub": true, "empty": true, "off": true, "nothing": true, "none": false, "user": false, "absent": false} {
		if _, ok := Text(s.Find(path)); ok != want {
			t.Errorf("%s has a text: %v", path, ok)
		}
	}
}

func TestOnlyOneObjectIsRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `[]`, `"a"`, `5`, `{"a":1}{"b":2}`, `{"a":1} x`, `{"a":`, `{'a':1}`} {
		if s, err := Decode([]byte(text)); err == nil {
			t.Errorf("%s is %v", text, s)
		}
	}
}
