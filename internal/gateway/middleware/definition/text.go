// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package definition

import (
	"encoding/json"
	"errors"
	"strconv"
)

// Text is text that may also be written as a number or a boolean, as people do
// where YAML needs no quotes: password: 1234.
type Text string

var errNotText = errors.New("must be text")

// UnmarshalJSON keeps a number as it is written.
func (t *Text) UnmarshalJSON(data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		*t = ""
	case string:
		*t = Text(v)
	case bool:
		*t = Text(strconv.FormatBool(v))
	case float64:
		*t = Text(data)
	default:
		return errNotText
	}
	return nil
}
