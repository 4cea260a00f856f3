// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"gateway.jkaninda.dev/goma/internal/gateway/middleware/peer"
)

// account is where users are, and who may search there. It is comparable.
type account struct {
	host, address       string
	encrypted, startTLS bool
	trust               peer.Trust
	bindDN, bindPass    string
	baseDN, filter      string
}

// filterFor gives the filter for a name, which cannot become more than a value in
// it. M8
func (a *account) filterFor(name string) string {
	return strings.ReplaceAll(a.filter, "%s", ldap.EscapeFilter(name))
}

// atOnce is how many questions the directory gets at one time.
const atOnce = 16

// directory verifies passwords. It is safe for concurrent use.
type directory struct {
	account

	// searchers are connections of the searching entry; on binders users prove who
	// they are. They are apart, so that a search never runs as a user.
	searchers, binders *connections
	slots              chan struct{}
}

func newDirectory(a account) (*directory, error) {
	c, err := a.trust.Config()
	if err != nil {
		return nil, err
	}
	c.ServerName = a.host
	d := &directory{account: a, slots: make(chan struct{}, atOnce)}
	d.binders = &connections{open: func(ctx context.Context) (*ldap.Conn, error) { return d.dial(ctx, c) }}
	d.searchers = &connections{open: func(ctx context.Context) (*ldap.Conn, error) { return d.dialToSearch(ctx, c) }}
	return d, nil
}

// Close closes idle connections; those in use close when they are given back.
func (d *directory) Close() {
	d.searchers.close()
	d.binders.close()
}

// errNobody is the error of a name that does not belong to exactly one entry.
var errNobody = errors.New("no such user")

// verify tells whether the password is that of the user. An error means that the
// directory could not tell. A user who does not exist costs as many questions as
// one who does.
func (d *directory) verify(ctx context.Context, name, password string) (bool, error) {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-d.slots }()
	dn, err := d.find(ctx, name)
	exists := err == nil
	if errors.Is(err, errNobody) {
		dn, err = "cn="+rand.Text()+","+d.baseDN, nil
	}
	if err != nil {
		return false, err
	}
	good, err := d.bind(ctx, dn, password)
	return good && exists, err
}

// find gives the one entry of the name. M8
func (d *directory) find(ctx context.Context, name string) (dn string, err error) {
	question := ldap.NewSearchRequest(d.baseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
		2, int(timeout.Seconds()), false, d.filterFor(name), []string{"1.1"}, nil)
	var answer *ldap.SearchResult
	err = d.searchers.with(ctx, func(c *ldap.Conn) (err error) {
		answer, err = c.Search(question)
		return err
	})
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
		return "", errNobody
	case err != nil:
		return "", fmt.Errorf("searching the user: %w", err)
	case len(answer.Entries) != 1 || answer.Entries[0].DN == "":
		return "", errNobody
	}
	return answer.Entries[0].DN, nil
}

// refusals are the answers to a bind that speak of this user, and not of the
// directory.
var refusals = []uint16{
	ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultNoSuchObject,
	ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultConstraintViolation, ldap.LDAPResultInsufficientAccessRights,
	ldap.LDAPResultUnwillingToPerform,
}

// bind asks the directory whether the password is that of the entry. An empty one
// never gets here; the library refuses it as well, since servers take it for an
// anonymous bind, which succeeds. M8
func (d *directory) bind(ctx context.Context, dn, password string) (bool, error) {
	err := d.binders.with(ctx, func(c *ldap.Conn) error { return c.Bind(dn, password) })
	switch {
	case err == nil:
		return true, nil
	case ldap.IsErrorAnyOf(err, refusals...) || ldap.IsErrorWithCode(err, ldap.ErrorEmptyPassword):
		return false, nil
	}
	return false, fmt.Errorf("binding as the user: %w", err)
}

// dialToSearch opens a connection of the searching entry.
func (d *directory) dialToSearch(ctx context.Context, t *tls.Config) (*ldap.Conn, error) {
	c, err := d.dial(ctx, t)
	if err != nil || d.bindDN == "" {
		return c, err
	}
	if err := c.Bind(d.bindDN, d.bindPass); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("binding as bindDN: %w", err)
	}
	return c, nil
}
