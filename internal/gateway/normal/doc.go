// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package normal gives paths and hosts their one normal form, at the entry
// point, before anything looks at them. Route table, middlewares, access log and
// backend all see that form, so what is matched is what is sent.
//
// A path in normal form is an escaped path in which
//
//   - every octet that may stand unescaped in a segment does, and every other
//     one is %XX with capital digits, so two spellings of one path are one string;
//   - there are no dot segments and no doubled slashes;
//   - an encoded slash (%2F) or backslash (%5C) is data of its segment, and never
//     hides a dot segment;
//   - the decoded text is valid UTF-8 without control characters.
//
// A path that cannot be brought into this form, or that tries to be two paths at
// once, is refused; the entry point answers 400. Decoding happens once:
// %252e stays %252e, for the backend to read as the text %2e.
//
// The form does not change in a patch release.
package normal
