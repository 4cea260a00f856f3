// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package rules

// headers are the types that act on headers, cookies and error bodies.
func headers() []Rule {
	set := table("Headers to set; an empty value takes the header out.")
	return []Rule{
		{Names: []string{"requestHeaders"}, Fields: map[string]Schema{
			"setHeaders": set, "removeHeaders": texts("Headers to take out."),
		}},
		{
			Names: []string{"responseHeaders"},
			Needs: [][]string{{"setHeaders", "setCookies", "cacheControl", "cors"}},
			Fields: map[string]Schema{
				"setHeaders":    set,
				"setCookies":    anyList("Cookies to set.", cookie()),
				"cacheControl":  anyText("Value of Cache-Control."),
				"cacheStatuses": anyList("Statuses that get cacheControl. Default: all.", status("")),
				"cors":          cors(),
			},
		},
		{Names: []string{"errorInterceptor"}, Fields: map[string]Schema{
			"enabled":     flag("Must be true to act. Default false."),
			"contentType": anyText("Content type of the answers. Default: what the client asks for."),
			"errors":      anyList("Answers by status; the first that fits counts.", failure()),
		}},
		{
			Names: []string{"accessLog"}, Needs: [][]string{{"headers", "query", "cookies"}},
			Fields: map[string]Schema{
				"headers": texts("Request headers to log."),
				"query":   texts("Query parameters to log."),
				"cookies": texts("Cookies to log."),
			},
		},
	}
}

func cookie() Schema {
	return object("", map[string]Schema{
		"name":       text("Name of the cookie."),
		"value":      scalar("Value of the cookie; an empty one deletes it."),
		"attributes": object("path, domain, maxAge, secure, httpOnly and sameSite, in any case.", nil),
	}, "name")
}

func cors() Schema {
	return object("Cross-origin requests.", map[string]Schema{
		"enabled":          flag("Must be true to act. Default false."),
		"origins":          texts("Origins to admit: *, scheme://host or scheme://*.domain."),
		"allowMethods":     texts("Methods to admit. Default: the one asked for."),
		"allowedHeaders":   texts("Request headers to admit. Default: those asked for."),
		"exposeHeaders":    texts("Response headers that scripts may read."),
		"maxAge":           between("Seconds for which the answer holds; 0 sends none.", 0, 86400),
		"allowCredentials": flag("Admits cookies and credentials; not with the origin *. Default false."),
		"headers":          table("More headers; setHeaders is preferred."),
	})
}

func failure() Schema {
	s := object("", map[string]Schema{
		"statusCode": status("Status to answer for."),
		"status":     status("The same as statusCode."),
		"code":       status("The same as statusCode."),
		"body":       anyText("Body of the answer. Default: the status and its reason."),
		"file":       anyText("File with the body, as HTML; used without body."),
	})
	s.AnyOf = anyKey("statusCode", "status", "code").AnyOf
	return s
}
