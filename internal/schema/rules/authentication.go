// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package rules

import "k8s.io/utils/ptr"

// password is shared by the types that ask for a user name and a password.
func password() map[string]Schema {
	return map[string]Schema{
		"realm":           anyText("Realm of the challenge. Default Restricted."),
		"forwardUsername": flag("Sends the user's name to the backend. Default false."),
	}
}

func authentication() []Rule {
	return []Rule{
		{
			Names: []string{"basic", "basicAuth"}, Needs: [][]string{{"users"}},
			Fields: join(password(), map[string]Schema{"users": list("Who may pass.", user())}),
		},
		{
			Names: []string{"ldap", "ldapAuth"}, Needs: [][]string{{"url"}, {"baseDN"}},
			Fields: join(password(), directory()),
		},
		{
			Names: []string{"jwt", "jwtAuth"}, Fields: token(),
			Needs: [][]string{{"jwksUrl", "secret", "secretFrom", "jwksFile", "publicKey", "publicKeyFrom"}},
		},
		{
			Names: []string{"oauth", "oauth2"}, Fields: login(),
			Needs: [][]string{{"clientId"}, {"clientSecret", "clientSecretFrom"}, {"redirectUrl"}},
		},
		{Names: []string{"apiKey"}, Fields: secretKeys(), Needs: [][]string{{"keys"}}},
		{Names: []string{"forwardAuth"}, Fields: forward(), Needs: [][]string{{"authUrl"}}},
	}
}

// user is name:password, or an object. Text has no pattern: the API server's
// refusal would repeat it, and it may be a password.
func user() Schema {
	return Schema{
		XPreserveUnknownFields: ptr.To(true),
		Description:            "name:password, or an object.",
		Properties: map[string]Schema{
			"username":     scalar("Name of the user."),
			"password":     scalar("Password or its hash: bcrypt, argon2id, {SHA} or $apr1$."),
			"passwordFrom": from("password"),
		},
		Required: []string{"username"},
		AnyOf:    anyKey("password", "passwordFrom").AnyOf,
		AllOf:    []Schema{oneOfTwo("password")},
	}
}

func directory() map[string]Schema {
	return map[string]Schema{
		"url":                text("Address of the directory, ldap:// or ldaps://."),
		"baseDN":             text("Entry below which users are searched."),
		"bindDN":             anyText("Entry that searches. Default: nobody in particular."),
		"bindPass":           scalar("Password of bindDN."),
		"bindPassFrom":       from("bindPass"),
		"userFilter":         anyText("Filter of the search; %s stands for the user's name."),
		"startTLS":           flag("Turns to TLS on an ldap:// connection. Default false."),
		"insecureSkipVerify": flag("Does not check the server's certificate. Default false."),
		"rootCAs":            authorities(),
		"connPool": object("Limit of attempts.", map[string]Schema{
			"size":  whole("Attempts for each ttl.", 0),
			"burst": whole("Attempts at once.", 0),
			"ttl":   duration("Time for size attempts. Default 60s."),
		}),
	}
}

// authorities are certificates to trust for the server that a type asks.
func authorities() Schema {
	return anyText("Authorities of the server's certificate, as PEM or base64 of it. Default: those of the system.")
}

func token() map[string]Schema {
	return map[string]Schema{
		"jwksUrl":              link("URL of the issuer's key set."),
		"secret":               scalar("Shared secret, for HS256, HS384 and HS512."),
		"secretFrom":           from("secret"),
		"jwksFile":             text("Key set as a file, as JSON or as JSON in base64."),
		"publicKey":            text("Public key as PEM, as PEM in base64 or as a file."),
		"publicKeyFrom":        from("publicKey"),
		"algorithms":           texts("Signatures to accept, such as RS256. Default: those of the kind of key."),
		"alg":                  anyText("One signature to accept; algorithms is preferred."),
		"algo":                 anyText("The same as alg."),
		"issuer":               anyText("Issuer that the token must name. Default: not checked."),
		"audience":             anyText("Audience that the token must name. Default: not checked."),
		"claimsExpression":     anyText("Condition on claims, such as Equals('role', 'admin')."),
		"forwardHeaders":       table("Headers for the backend, each with the claim that fills it."),
		"forwardAuthorization": flag("Sends the token on to the backend. Default false."),
		"clockSkew":            duration("How far the clocks of issuer and gateway may be apart. Default 0."),
		"rootCAs":              authorities(),
	}
}

func login() map[string]Schema {
	return map[string]Schema{
		"clientId":         text("Name of this client at the provider."),
		"clientSecret":     scalar("Secret of this client at the provider."),
		"clientSecretFrom": from("clientSecret"),
		"redirectUrl":      link("URL to which the provider sends the user back."),
		"provider":         word("Provider. Default custom.", "google", "gitlab", "github", "amazon", "facebook", "custom"),
		"endpoint": object("URLs of a custom provider.", map[string]Schema{
			"authUrl":     link("Where the user logs in."),
			"tokenUrl":    link("Where a code becomes a token."),
			"userInfoUrl": link("Where the user's data is."),
			"jwksUrl":     link("Key set of the provider."),
		}),
		"issuer":             anyText("URL of an OpenID provider, which tells of its endpoints."),
		"redirectPath":       anyText("Where to go after login. Default: the page that was asked for."),
		"cookiePath":         anyText("Path of the session's cookie. Default: the path of the route."),
		"cookieDomain":       anyText("Domain of the session's cookie. Default: the host alone."),
		"scopes":             texts("Scopes to ask for."),
		"sessionSecret":      scalar("Secret that seals sessions. Default: clientSecret."),
		"sessionSecretFrom":  from("sessionSecret"),
		"sessionTTL":         duration("How long a login is good for at most. Default 24h."),
		"forwardHeaders":     table("Headers for the backend, each with the claim that fills it."),
		"forwardAccessToken": flag("Sends the access token to the backend. Default false."),
		"logoutPath":         anyText("Path that ends the session. Default: none."),
		"logoutRedirect":     anyText("Path to go to after that. Default /."),
		"rootCAs":            authorities(),
		"insecureSkipVerify": flag("Does not check the server's certificate. Default false."),
		"state":              anyText("Accepted and without effect: each login has a random one."),
	}
}

func forward() map[string]Schema {
	return map[string]Schema{
		"authUrl":                     link("URL that is asked; an answer 2xx lets the request pass."),
		"authSignIn":                  text("Where to send clients that get 401."),
		"forwardHostHeaders":          flag("Sends the client's Host with the question. Default false."),
		"enableHostForwarding":        flag("Old name of forwardHostHeaders."),
		"insecureSkipVerify":          flag("Does not check the server's certificate. Default false."),
		"skipInsecureVerify":          flag("Old name of insecureSkipVerify."),
		"rootCAs":                     authorities(),
		"timeout":                     duration("How long to wait for the answer. Default 10s."),
		"authRequestHeaders":          texts("Headers of the request to send with the question."),
		"authResponseHeaders":         texts("Headers of the answer for the backend, Name or From: To."),
		"authResponseHeadersAsParams": texts("Headers of the answer to add as query parameters, Name or From: To."),
		"addAuthCookiesToResponse":    texts("Cookies of the answer for the client. Default: all."),
		"trustForwardHeader":          flag("Accepted and without effect."),
	}
}

func secretKeys() map[string]Schema {
	return map[string]Schema{
		"keys":         list("Keys that are good.", secretKey()),
		"headerName":   anyText("Header that holds the key. Default X-API-Key, where no other place is given."),
		"headerScheme": anyText("What stands before the key in the header, such as Bearer. Default: nothing."),
		"queryName":    anyText("Parameter of the query that holds the key. Default: none."),
		"cookieName":   anyText("Cookie that holds the key. Default: none."),
		"forwardKey":   flag("Leaves the key in the request to the backend. Default false."),
		"nameHeader":   anyText("Header that tells the backend the name of the key. Default: none."),
	}
}

// secretKey is the key, or an object. Text has no pattern, as that of a user.
func secretKey() Schema {
	return Schema{
		XPreserveUnknownFields: ptr.To(true),
		Description:            "The key, or an object.",
		Properties: map[string]Schema{
			"name":    scalar("Whose the key is."),
			"key":     scalar("The key, or sha256: and its digest in hexadecimal digits."),
			"keyFrom": from("key"),
		},
		AllOf: []Schema{oneOfTwo("key")},
	}
}
