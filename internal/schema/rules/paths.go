// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package rules

// paths are the types that change or redirect what is asked for.
func paths() []Rule {
	pattern := text("Regular expression (RE2).")
	replacement := anyText("What stands in place of the match; $1 is its first group.")
	permanent := flag("Answers 301 in place of 302. Default false.")
	return []Rule{
		{Names: []string{"addPrefix"}, Needs: [][]string{{"prefix"}}, Fields: map[string]Schema{
			"prefix": text("Put before the path."),
		}},
		{Names: []string{"rewriteRegex"}, Needs: [][]string{{"pattern"}}, Fields: map[string]Schema{
			"pattern": pattern, "replacement": replacement,
		}},
		{Names: []string{"stripPrefix"}, Needs: [][]string{{"prefixes"}}, Fields: map[string]Schema{
			"prefixes": list("Taken off the path, the longest that it has.", text("")),
		}},
		{Names: []string{"stripQuery"}, Needs: [][]string{{"params"}}, Fields: map[string]Schema{
			"params":      list("Parameters to take out of the query.", text("")),
			"methods":     texts("Methods to act on. Default: all."),
			"pathPattern": anyText("Regular expression (RE2) of the paths to act on. Default: all."),
		}},
		{Names: []string{"redirect"}, Needs: [][]string{{"url"}}, Fields: map[string]Schema{
			"url": text("Where to send the client."), "permanent": permanent,
		}},
		{Names: []string{"redirectRegex"}, Needs: [][]string{{"pattern"}, {"replacement"}}, Fields: map[string]Schema{
			"pattern": pattern, "replacement": replacement, "permanent": permanent,
		}},
		{Names: []string{"redirectScheme"}, Needs: [][]string{{"scheme"}}, Fields: map[string]Schema{
			"scheme": word("Scheme to send clients to.", "http", "https"),
			"port":   between("Port to send clients to. Default, or 0: that of the scheme.", 0, 65535), "permanent": permanent,
		}},
	}
}
