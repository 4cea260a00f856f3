// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"gateway.jkaninda.dev/goma/internal/config"
)

// sshSettings say who we are and which server is the right one. Files are read each
// time, so a key that is replaced is used by the next try.
func sshSettings(address string, a config.GitAddress, auth *config.GitAuth) (*ssh.ClientConfig, error) {
	if auth == nil || auth.SSHKeyPath == "" && auth.SSHKeyData == "" {
		return nil, errors.New("there is no key to show: set gateway.providers.git.auth.sshKeyPath or sshKeyData")
	}
	signer, err := readKey(auth)
	if err != nil {
		return nil, err
	}
	out := &ssh.ClientConfig{User: "git", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}}
	if name := auth.Username.Reveal(); name != "" {
		out.User = name
	}
	if a.User != "" {
		out.User = a.User
	}
	if auth.InsecureIgnoreHostKey {
		out.HostKeyCallback = ssh.InsecureIgnoreHostKey() //nolint:gosec // asked for by its name
		return out, nil
	}
	known, err := knownHosts(auth)
	if err != nil {
		return nil, err
	}
	out.HostKeyCallback = func(host string, remote net.Addr, key ssh.PublicKey) error {
		return hostError(address, key, known(host, remote, key))
	}
	out.HostKeyAlgorithms = algorithms(address, known)
	return out, nil
}

// readKey gives the private key. Nothing of it is part of an error.
func readKey(auth *config.GitAuth) (ssh.Signer, error) {
	text := []byte(auth.SSHKeyData.Reveal())
	if len(text) == 0 {
		data, err := os.ReadFile(auth.SSHKeyPath)
		if err != nil {
			return nil, fmt.Errorf("the private key: %w", err)
		}
		text = data
	} else if !strings.Contains(string(text), "-----BEGIN ") {
		decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			return nil, errors.New("the private key in sshKeyData is neither PEM nor base64 of PEM")
		}
		text = decoded
	}
	signer, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked) && auth.Password == "":
		return nil, errors.New("the private key has a passphrase; give it in gateway.providers.git.auth.password")
	case errors.As(err, &locked):
		signer, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(auth.Password.Reveal()))
	}
	if err != nil {
		return nil, errors.New("the private key cannot be read, or its passphrase is wrong")
	}
	return signer, nil
}

// knownHosts reads the keys of servers: those of the setting, else those beside the
// private key, else those of the user and of the system. S4
func knownHosts(auth *config.GitAuth) (ssh.HostKeyCallback, error) {
	if text := auth.KnownHosts; strings.ContainsAny(text, " \n") && !strings.HasPrefix(text, "/") {
		return knownLines(text)
	}
	files := []string{auth.KnownHosts}
	if auth.KnownHosts == "" {
		files = nil
		if auth.SSHKeyPath != "" {
			files = existing(filepath.Join(filepath.Dir(auth.SSHKeyPath), "known_hosts"))
		}
		if len(files) == 0 {
			home, _ := os.UserHomeDir()
			files = existing(filepath.Join(home, ".ssh", "known_hosts"), "/etc/ssh/ssh_known_hosts")
		}
	}
	if len(files) == 0 {
		return nil, errors.New("the server cannot be checked: put its line, as ssh-keyscan prints it, into a file known_hosts " +
			"beside the private key, or into gateway.providers.git.auth.knownHosts")
	}
	known, err := knownhosts.New(files...)
	if err != nil {
		return nil, fmt.Errorf("known_hosts: %w", err)
	}
	return known, nil
}

// knownLines takes the lines themselves; the library reads files only.
func knownLines(text string) (ssh.HostKeyCallback, error) {
	f, err := os.CreateTemp("", "goma-known-hosts-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // nothing else could be done
	_, err = f.WriteString(text + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	known, err := knownhosts.New(f.Name())
	if err != nil {
		return nil, errors.New("gateway.providers.git.auth.knownHosts has a line that is not of a known_hosts file")
	}
	return known, nil
}

func existing(paths ...string) []string {
	var list []string
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			list = append(list, p)
		}
	}
	return list
}

// unknownHostError says that the server is not, or may not be, the right one.
type unknownHostError struct{ message string }

func (e *unknownHostError) Error() string { return e.message }

func hostError(address string, key ssh.PublicKey, err error) error {
	var mismatch *knownhosts.KeyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mismatch) && len(mismatch.Want) == 0:
		host, port, _ := net.SplitHostPort(address)
		return &unknownHostError{fmt.Sprintf("the key of the server is not known (%s %s); compare it, and add what `ssh-keyscan -p %s %s` prints to known_hosts",
			key.Type(), ssh.FingerprintSHA256(key), port, host)}
	case errors.As(err, &mismatch):
		return &unknownHostError{fmt.Sprintf("the server shows a key that is not the known one (%s %s): somebody may be in between, or the server has a new key",
			key.Type(), ssh.FingerprintSHA256(key))}
	}
	return &unknownHostError{"the key of the server is refused: " + err.Error()}
}

// algorithms are those of the keys that are known of a server, so that it shows one
// of these; nil, for all, when none is, or an authority vouches for it.
func algorithms(address string, known ssh.HostKeyCallback) []string {
	var mismatch *knownhosts.KeyError
	if !errors.As(known(address, &net.TCPAddr{}, noKey{}), &mismatch) {
		return nil
	}
	var list []string
	for _, k := range mismatch.Want {
		switch t := k.Key.Type(); t {
		case ssh.KeyAlgoRSA:
			list = append(list, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			list = append(list, t)
		}
	}
	return list
}

// noKey is a key that no server has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }
