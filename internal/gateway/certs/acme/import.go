// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"gateway.jkaninda.dev/goma/internal/config"
)

// storeFile is the file in which others keep an account and its certificates. It is
// read and never written.
type storeFile struct {
	UserAccount *struct {
		Email        string `json:"email"`
		PrivateKey   string `json:"private_key"`
		Registration string `json:"registration"`
	} `json:"user_account"`
	Certificates []struct {
		Domain      string   `json:"domain"`
		Domains     []string `json:"domains"`
		Certificate string   `json:"certificate"`
		PrivateKey  string   `json:"private_key"`
	} `json:"certificates"`
}

// registration is what such a file knows of an account.
type registration struct {
	Body acme.Account `json:"body"`
	URI  string       `json:"uri"`
}

var errOtherAuthority = errors.New("its account is with another authority")

// maxStoreFile bounds what is read.
const maxStoreFile = 64 << 20

// bring takes over what such a file holds and the store does not. A file that cannot
// be used is told, and left as it is. A10
func (m *Manager) bring(ctx context.Context, p *provider, email, directory, file, field string) *config.Problem {
	found, err := readStoreFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = m.takeOver(ctx, p, email, directory, found)
	}
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return &config.Problem{
		Object: config.ObjectRef{Kind: "Gateway"}, Field: field + ".storageFile", Reason: config.ReasonUnreadable,
		Severity: config.SeverityWarning,
		Message:  fmt.Sprintf("what %s holds is not used, and the file is left as it is: %v", file, err),
	}
}

func readStoreFile(file string) (*storeFile, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxStoreFile {
		return nil, errors.New("it is no file, or a very large one")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	found := &storeFile{}
	if err := json.Unmarshal(data, found); err != nil {
		return nil, fmt.Errorf("it is not JSON as expected: %w", withoutContent(err))
	}
	return found, nil
}

// withoutContent keeps what stands in a file of secrets out of an error.
func withoutContent(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("at byte %d", syntax.Offset)
	}
	return errors.New("a value has another type")
}

func (m *Manager) takeOver(ctx context.Context, p *provider, email, directory string, f *storeFile) error {
	known, err := f.account(email, directory)
	if err != nil {
		return err
	}
	if known != nil {
		data, err := json.Marshal(known)
		if err == nil {
			err = m.absent(ctx, p.place.account(email), data, keepAccount)
		}
		if err != nil {
			return err
		}
	}
	var bad []error
	for _, c := range f.Certificates {
		for _, host := range append([]string{c.Domain}, c.Domains...) {
			if err := m.takeOverOne(ctx, p, host, c.Certificate, c.PrivateKey); err != nil {
				bad = append(bad, fmt.Errorf("%s: %w", host, err))
			}
		}
	}
	return errors.Join(bad...)
}

// account gives the account of a file; nil without one that can be used. One with
// another authority makes the whole file another authority's.
func (f *storeFile) account(email, directory string) (*account, error) {
	u := f.UserAccount
	if u == nil || u.PrivateKey == "" {
		return nil, nil //nolint:nilnil // no account is what is meant
	}
	key, err := base64.StdEncoding.DecodeString(u.PrivateKey)
	if err != nil {
		return nil, errors.New("the key of the account is not in base64")
	}
	signer, err := parseKey(key)
	if err != nil {
		return nil, fmt.Errorf("the key of the account: %w", err)
	}
	var r registration
	if text, err := base64.StdEncoding.DecodeString(u.Registration); err != nil || json.Unmarshal(text, &r) != nil || r.URI == "" {
		return nil, nil //nolint:nilnil,nilerr // a key without an account is of no use
	}
	if !sameAuthority(r.URI, directory) {
		return nil, errOtherAuthority
	}
	if !strings.EqualFold(u.Email, email) {
		return nil, nil //nolint:nilnil // another contact is another account
	}
	text, err := keyPEM(signer)
	if err != nil {
		return nil, err
	}
	r.Body.Location, r.Body.Status = r.URI, acme.StatusValid
	return &account{Email: email, Key: string(text), Account: r.Body}, nil
}

func sameAuthority(account, directory string) bool {
	a, err := url.Parse(account)
	if err != nil {
		return false
	}
	d, err := url.Parse(directory)
	return err == nil && strings.EqualFold(a.Host, d.Host)
}

func (m *Manager) takeOverOne(ctx context.Context, p *provider, host, chain, key string) error {
	chainPEM, err := base64.StdEncoding.DecodeString(chain)
	if err != nil {
		return errors.New("the certificate is not in base64")
	}
	text, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return errors.New("the key is not in base64")
	}
	r, err := newRecord(strings.ToLower(host), chainPEM, text)
	if err != nil {
		return err
	}
	if !r.valid(time.Now()) {
		return nil
	}
	data, err := r.encode()
	if err != nil {
		return err
	}
	return m.absent(ctx, p.place.certificate(r.Host), data, r.keep(time.Now()))
}

// absent saves what the store does not have.
func (m *Manager) absent(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	_, err := m.store.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return m.store.Save(ctx, key, value, ttl)
	}
	return err
}
