// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package rules

// traffic are the types that limit or store what passes.
func traffic() []Rule {
	return []Rule{
		{Names: []string{"rateLimit", "ratelimit"}, Needs: [][]string{{"requestsPerUnit"}}, Fields: limit()},
		{Names: []string{"inFlightLimit"}, Needs: [][]string{{"maxRequests", "maxPerClient"}}, Fields: map[string]Schema{
			"maxRequests":  whole("Requests of the route that may be under way at once. Default 0, any number.", 0),
			"maxPerClient": whole("Requests of one client among them. Default 0, any number.", 0),
			"keyStrategy":  keyStrategy(),
		}},
		{Names: []string{"bodyLimit"}, Needs: [][]string{{"limit"}}, Fields: map[string]Schema{
			"limit": size("Largest body of a request."),
		}},
		{Names: []string{"circuitBreaker"}, Fields: breaker()},
		{Names: []string{"compress"}, Fields: smaller()},
		{Names: []string{"retry"}, Fields: again()},
		{Names: []string{"waf"}, Fields: firewall()},
		{Names: []string{"httpCache"}, Fields: cache()},
	}
}

func limit() map[string]Schema {
	return map[string]Schema{
		"requestsPerUnit": whole("Requests of one client in each unit.", 1),
		"unit":            word("Unit of time. Default second.", "second", "minute", "hour"),
		"burst":           whole("Requests beyond that at once. Default 0.", 0),
		"banAfter":        whole("Refusals after which a client is banned. Default 0, never.", 0),
		"banDuration":     duration("How long a client is banned. Default 10m."),
		"keyStrategy":     keyStrategy(),
		"onStoreFailure":  onStoreFailure(),
	}
}

// keyStrategy is the same in every type that tells clients apart.
func keyStrategy() Schema {
	return object("What a client is told by.", map[string]Schema{
		"source": word("Where the key is taken from. Default ip.", "ip", "header", "cookie", "query", "claim"),
		"name":   anyText("Name of the header, cookie or query parameter, or path of the claim; without a value the address counts."),
	})
}

func breaker() map[string]Schema {
	return map[string]Schema{
		"window":              duration("How far back failures count. Default 10s."),
		"minRequests":         whole("Answers that the window must hold before their share of failures counts. Default 20.", 1),
		"errorPercent":        between("Share of failures that opens the breaker. Default 50.", 1, 100),
		"consecutiveFailures": whole("Failures in a row that open the breaker. Default 0, never.", 0),
		"slowAfter":           duration("What takes longer is a failure. Default 0, never."),
		"openDuration":        duration("How long the backend is spared. Default 10s."),
		"probes":              whole("Requests that then try it, and must succeed. Default 3.", 1),
		"failureStatuses":     Schema{Description: "Statuses that are failures, such as 500-599, which is the default.", Type: "string", Pattern: "^[45][0-9]{2}(-[45][0-9]{2})?$"},
		"message":             anyText("Text of the refusal."),
	}
}

func smaller() map[string]Schema {
	return map[string]Schema{
		"encodings":            anyList("Encodings, the preferred one first. Default zstd, br, gzip.", word("", "zstd", "zstandard", "br", "brotli", "gzip", "x-gzip")),
		"level":                word("How much time is spent on making bodies small. Default default.", "fastest", "default", "best"),
		"minSize":              size("Size from which bodies are compressed, at most 1Mi. Default 1Ki."),
		"contentTypes":         texts("Types to compress, such as text/* or application/json. Default: those known to shrink."),
		"excludedContentTypes": texts("Types that are not compressed all the same."),
	}
}

func again() map[string]Schema {
	return map[string]Schema{
		"attempts":      between("How often a request is sent at most, the first time included; 0 and 1 repeat nothing. Default 3.", 0, 10),
		"perTryTimeout": duration("How long one attempt may take until its answer begins. Default 0, as long as it takes."),
		"timeout":       duration("How long after the first attempt the last one may begin. Default 10s."),
		"retryOn":       anyList("connectionError, timeout, statuses and ranges of them. Default connectionError, 502, 503, 504.", failures()),
		"methods":       texts("Methods that may be repeated. Default: those that are idempotent."),
		"backoff":       duration("Longest pause before the second attempt; it doubles with each. Default 25ms."),
		"maxBackoff":    duration("Longest pause of all. Default 250ms."),
		"budgetPercent": between("How many of a hundred requests may be repeated. Default 20.", 0, 100),
		"maxBodySize":   size("How much of a request's body is kept to be sent again, at most 1Mi. Default 64Ki."),
	}
}

// failures is one reason to send a request again.
func failures() Schema {
	return Schema{XIntOrString: true, Pattern: `^\s*((?i)(connectionError|timeout)|[45][0-9]{2}\s*(-\s*[45][0-9]{2})?)\s*$`}
}

func firewall() map[string]Schema {
	return map[string]Schema{
		"mode":             word("Refuses, or only counts and logs. Default block.", "block", "detect"),
		"paranoiaLevel":    between("How suspicious the rules are. Default 1.", 1, 4),
		"anomalyThreshold": between("Points that are too many. Default 5.", 1, 1000),
		"bodyLimit":        size("How much of a body is looked into. Default 1Mi."),
		"onBodyLimit":      word("What happens to longer bodies. Default reject.", "reject", "partial"),
		"exclusions": anyList("Rules that do not count.", object("", map[string]Schema{
			"rules":     anyList("Numbers of rules, or ranges such as 942000-942999.", ruleNumbers()),
			"tags":      texts("Tags of rules, such as attack-sqli."),
			"paths":     texts("Paths that the exclusion is for. Default: all."),
			"arguments": texts("Parameters that the exclusion is for. Default: the whole request."),
		})),
	}
}

// ruleNumbers is a number of six digits, or two with a dash between.
func ruleNumbers() Schema {
	return Schema{XIntOrString: true, Pattern: `^[0-9]{6}(-[0-9]{6})?$`}
}

// onStoreFailure is the same choice in every type that shares state.
func onStoreFailure() Schema {
	return word("What happens while the shared store does not answer. Default local.", "local", "allow", "deny")
}

func cache() map[string]Schema {
	return map[string]Schema{
		"maxTtl":                   whole("Seconds for which an answer is kept. Default 300.", 0),
		"defaultTtl":               whole("Seconds for which an answer is kept that does not say it itself. Default: maxTtl where the rule tells that, else 0.", 0),
		"maxStale":                 whole("Seconds by which an answer may be too old for a client that takes old ones. Default 0.", 0),
		"memoryLimit":              size("Memory for answers. Default 64Mi."),
		"maxBodySize":              size("Size of the largest body to keep. Default 8Mi."),
		"disableCacheStatusHeader": flag("Does not tell the client of the cache. Default false."),
		"cacheableStatusCodes":     anyList("Statuses to keep. Default: 2xx and 3xx that are not excluded.", status("")),
		"excludedResponseCodes":    anyList("Statuses not to keep, such as 404 or 500-599.", statuses()),
		"includeQueryInKey":        flag("Tells answers apart by their query. Default true."),
		"queryParamsToCache":       texts("Parameters that tell answers apart. Default: all."),
		"onStoreFailure":           onStoreFailure(),
	}
}

// statuses is a status or a range of them.
func statuses() Schema {
	return Schema{XIntOrString: true, Pattern: `^\s*[1-5][0-9]{2}\s*(-\s*[1-5][0-9]{2}\s*)?$`}
}
