// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package basicauth asks for a user name and a password (RFC 7617).
//
// Passwords in the rule are bcrypt, argon2id, {SHA}, apr1 or MD5 crypt hashes, or
// plain text. What looks like a hash of another kind makes the rule invalid: compared as
// text, the hash itself would be the password. Whether a user exists can be told
// neither from the answer nor from the time that it takes, and credentials that
// were good a moment ago are not hashed again.
package basicauth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/credentials"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
)

// Type is basic, also called basicAuth.
var Type = definition.Type{Names: []string{"basic", "basicAuth"}, Security: true, Scoped: true, Secrets: []string{"users[].password"}, Parse: parse}

// Settings is the rule of a basic middleware.
type Settings struct {
	// Realm is shown by browsers when they ask; "Restricted" by default.
	Realm string `json:"realm"`
	// ForwardUsername sends the name to the backend, as X-Forwarded-User and as
	// username. Whatever the client sent under these names never arrives.
	ForwardUsername bool `json:"forwardUsername"`
	// Users are those who are let in. Required. Of two with one name the first
	// counts.
	Users []User `json:"users"`
}

// User is an object with username and password, or the text "name:password".
type User struct {
	Username definition.Text `json:"username"`
	// Password is plain text or a hash: bcrypt, argon2id, {SHA}, $apr1$ or $1$.
	Password definition.Text `json:"password"`
	// PasswordFrom names a Secret in place of it; see config.RuleSecrets.
	PasswordFrom json.RawMessage `json:"passwordFrom"`
}

// UnmarshalJSON reads both forms.
func (u *User) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '"' {
		var short string
		if err := json.Unmarshal(data, &short); err != nil {
			return err
		}
		name, password, _ := strings.Cut(short, ":")
		u.Username, u.Password = definition.Text(name), definition.Text(password)
		return nil
	}
	type plain User
	return json.Unmarshal(data, (*plain)(u))
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	challenge, err := credentials.Challenge(s.Realm)
	if err != nil {
		problems = append(problems, definition.Invalid("realm", "%v", err))
	}
	if len(s.Users) == 0 {
		problems = append(problems, definition.Invalid("users", "list at least one user, as name:password or as an object with username and password"))
	}
	users := map[string]verifier{}
	for i, u := range s.Users {
		problems = append(problems, add(users, u, fmt.Sprintf("users[%d]", i))...)
	}
	if config.HasErrors(problems) {
		return nil, problems
	}
	return &rule{users: newUsers(users), challenge: challenge, forward: s.ForwardUsername}, problems
}

// add checks one user. No message repeats a password.
func add(users map[string]verifier, u User, field string) []config.Problem {
	switch {
	case u.Username == "":
		return []config.Problem{definition.Invalid(field+".username", "is missing")}
	case strings.Contains(string(u.Username), ":"):
		return []config.Problem{definition.Invalid(field+".username", "must not hold a colon (RFC 7617)")}
	case u.Password == "" && len(u.PasswordFrom) > 0:
		return []config.Problem{definition.Unread(field + ".password")}
	case u.Password == "":
		return []config.Problem{definition.Invalid(field+".password", "is missing")}
	}
	if name := config.Unresolved(string(u.Password)); name != "" {
		return []config.Problem{definition.Unset(field+".password", name)}
	}
	v, err := newVerifier(string(u.Password))
	if err != nil {
		return []config.Problem{definition.Invalid(field+".password", "%v", err)}
	}
	if _, ok := users[string(u.Username)]; ok {
		return []config.Problem{{
			Field: "rule." + field + ".username", Reason: config.ReasonIgnored, Severity: config.SeverityWarning,
			Message: fmt.Sprintf("user %q is listed before; the first entry counts", u.Username),
		}}
	}
	users[string(u.Username)] = v
	return nil
}

type rule struct {
	users     *users
	challenge string
	forward   bool
}

// Handler implements definition.Rule.
func (a *rule) Handler(b definition.Build, next http.Handler) (http.Handler, error) {
	covered, err := scope.Compile(b.Paths, b.Route.Path)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.forward {
			credentials.Forget(r)
		}
		if !covered.Covers(r) {
			next.ServeHTTP(w, r)
			return
		}
		name, password, ok := credentials.Of(r)
		if !ok || !a.users.verify(r.Context(), name, password) {
			credentials.Refuse(w, r, a.challenge, "basic_auth")
			return
		}
		if a.forward {
			credentials.Forward(r.Header, name)
		}
		exchange.Of(r).Identified = true
		next.ServeHTTP(w, r)
	}), nil
}
