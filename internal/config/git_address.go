// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"net/url"
	"strings"
)

// GitAddress is where a repository is.
type GitAddress struct {
	// Scheme is http, https or ssh.
	Scheme string
	// Host has the port when one is given.
	Host string
	// Path is as the server takes it: with ssh, one that begins with ~ or without a
	// slash is below the user's home.
	Path string
	// User and Password are those of the URL.
	User     string
	Password Secret
}

var errGitURL = errors.New(
	"is not the URL of a repository; write it like https://git.example.com/team/config.git or git@git.example.com:team/config.git")

// ParseGitURL reads the URL of a repository, or the short form user@host:path. A
// local path, and protocols that do not check the server, are refused.
func ParseGitURL(s string) (GitAddress, error) {
	if strings.ContainsAny(s, "\r\n\x00") {
		return GitAddress{}, errGitURL
	}
	if !strings.Contains(s, "://") {
		return shortForm(s)
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") == "" || strings.HasPrefix(u.Hostname(), "-") {
		return GitAddress{}, errGitURL
	}
	a := GitAddress{Scheme: strings.ToLower(u.Scheme), Host: u.Host, Path: u.EscapedPath(), User: u.User.Username()}
	if password, ok := u.User.Password(); ok {
		a.Password = Secret(password)
	}
	switch a.Scheme {
	case "http", "https":
		return a, nil
	case "ssh":
		// The path is an argument of a command there.
		a.Path = u.Path
		if strings.HasPrefix(a.Path, "/~") {
			a.Path = a.Path[1:]
		}
		return a, nil
	}
	return GitAddress{}, errGitURL
}

func shortForm(s string) (GitAddress, error) {
	authority, path, ok := strings.Cut(s, ":")
	user, host, hasUser := strings.Cut(authority, "@")
	if !hasUser {
		user, host = "", authority
	}
	if !ok || host == "" || path == "" || path[0] == ':' || strings.ContainsAny(authority, "/\\ ") || strings.HasPrefix(host, "-") || hasUser && user == "" {
		return GitAddress{}, errGitURL
	}
	return GitAddress{Scheme: "ssh", Host: host, Path: path, User: user}, nil
}

// String gives the address for messages: without the user and the password.
func (a GitAddress) String() string {
	if a.Scheme == "ssh" && !strings.HasPrefix(a.Path, "/") {
		return "ssh://" + a.Host + "/" + a.Path
	}
	return a.Scheme + "://" + a.Host + a.Path
}
