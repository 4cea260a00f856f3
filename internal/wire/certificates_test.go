// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCertificatesFitIntoAnAnnotation(t *testing.T) {
	t.Parallel()
	end := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	small := []Certificate{
		{Host: "a.example.com", Issuer: "R11", NotAfter: end, Next: end.AddDate(0, -1, 0)},
		{Host: "b.example.com", Error: "no such \"name\""},
	}
	got, err := ParseCertificates(EncodeCertificates(small))
	if err != nil || len(got) != 2 || !reflect.DeepEqual(got[1], small[0]) || !reflect.DeepEqual(got[0], small[1]) {
		t.Errorf("%+v, %v", got, err)
	}
	var many []Certificate
	for i := range 2000 {
		c := Certificate{Host: fmt.Sprintf("host-%04d.example.com", i), Issuer: "R11", NotAfter: end}
		if i%500 == 499 {
			c.Error = strings.Repeat("ü", 400)
		}
		many = append(many, c)
	}
	text := EncodeCertificates(many)
	if got, err = ParseCertificates(text); err != nil || len(text) > maxCertificatesBytes+1 || len(got) < 200 {
		t.Fatalf("%d bytes, %d hosts, %v", len(text), len(got), err)
	}
	for i, host := range []string{"host-0499.example.com", "host-0999.example.com", "host-1499.example.com", "host-1999.example.com"} {
		if got[i].Host != host || got[i].Error == "" {
			t.Errorf("%d: %s; those that fail come first", i, got[i].Host)
		}
	}
	if EncodeCertificates(nil) != "" {
		t.Error("nothing is told of a gateway that obtains nothing")
	}
	if _, err := ParseCertificates("{"); err == nil {
		t.Error("no error for what is no list")
	}
}
