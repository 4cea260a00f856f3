// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package rules

func access() []Rule {
	return []Rule{
		{Names: []string{"access"}, Fields: map[string]Schema{
			"statusCode": status("Status of the refusal. Default 403."),
		}},
		{Names: []string{"accessPolicy", "ipFilter"}, Needs: [][]string{{"sourceRanges"}}, Fields: map[string]Schema{
			"action":       word("What happens to the listed ones. Default ALLOW for accessPolicy, and needed for geoBlock.", "ALLOW", "DENY"),
			"sourceRanges": list("Addresses, CIDR blocks and ranges first-last.", text("")),
		}},
		{Names: []string{"geoBlock"}, Needs: [][]string{{"action"}, {"countries"}}, Fields: map[string]Schema{
			"action":           word("What happens to the listed ones. Default ALLOW for accessPolicy, and needed for geoBlock.", "ALLOW", "DENY"),
			"countries":        list("Countries by their two letters.", country()),
			"statusCode":       status("Status of the refusal. Default 403."),
			"message":          anyText("Text of the refusal."),
			"allowUnknown":     flag("Admits addresses of unknown country. Default true."),
			"addCountryHeader": anyText("Request header that tells the backend the country. Default: none."),
		}},
		{Names: []string{"userAgentBlock"}, Needs: [][]string{{"userAgents"}}, Fields: map[string]Schema{
			"userAgents": list("Parts of User-Agent to refuse, in any case.", text("")),
		}},
	}
}

func country() Schema { return Schema{Type: "string", Pattern: "^[A-Za-z]{2}$"} }
