// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/source/webclient"
)

// sshSession runs git-upload-pack on the server: one stream each way.
type sshSession struct {
	conn    net.Conn
	client  *ssh.Client
	session *ssh.Session
	in      io.Reader
	out     io.WriteCloser
	stderr  *tail
	unhook  func() bool
	spoken  bool
}

const sshPort = "22"

// dialSSH connects and starts the program. Everything ends with the context.
func dialSSH(ctx context.Context, a config.GitAddress, auth *config.GitAuth, maxIn int64) (*sshSession, error) {
	address := a.Host
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), sshPort)
	}
	settings, err := sshSettings(address, a, auth)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, webclient.Plain(err)
	}
	s := &sshSession{conn: conn, stderr: &tail{}}
	// Closing the connection ends whatever waits for it.
	s.unhook = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err := s.start(address, a.Path, settings, maxIn); err != nil {
		s.close()
		if ctx.Err() != nil {
			return nil, webclient.Plain(ctx.Err())
		}
		return nil, err
	}
	return s, nil
}

func (s *sshSession) start(address, path string, settings *ssh.ClientConfig, maxIn int64) error {
	connection, channels, requests, err := ssh.NewClientConn(s.conn, address, settings)
	if err != nil {
		return refusedBySSH(err)
	}
	s.client = ssh.NewClient(connection, channels, requests)
	if s.session, err = s.client.NewSession(); err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}
	s.session.Stderr = s.stderr
	if s.out, err = s.session.StdinPipe(); err != nil {
		return err
	}
	stdout, err := s.session.StdoutPipe()
	if err != nil {
		return err
	}
	s.in = limited(stdout, maxIn)
	// Most servers take no variables but those they know; version 0 will do.
	_ = s.session.Setenv("GIT_PROTOCOL", "version=2")
	if err := s.session.Start("git-upload-pack " + shellWord(path)); err != nil {
		return fmt.Errorf("starting git-upload-pack on the server: %w", err)
	}
	return nil
}

// shellWord puts a text into single quotes as git does: the shell of the server
// takes it for one word, whatever is in it.
func shellWord(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

func refusedBySSH(err error) error {
	var unknown *unknownHostError
	switch {
	case errors.As(err, &unknown):
		return unknown
	case strings.Contains(err.Error(), "unable to authenticate"):
		return errors.New("the server does not take the key; add its public half to those that may read the repository")
	}
	return fmt.Errorf("ssh: %w", webclient.Plain(err))
}

func (s *sshSession) greeting(context.Context) (io.Reader, error) { return &explained{s.in, s}, nil }

func (s *sshSession) send(_ context.Context, m *message, end bool) (io.Reader, error) {
	s.spoken = true
	if _, err := s.out.Write(m.Bytes()); err != nil {
		return nil, s.explain(err)
	}
	if end {
		_ = s.out.Close()
	}
	return &explained{s.in, s}, nil
}

// explain adds what the server wrote to its standard error, where an end came too
// early.
func (s *sshSession) explain(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	_ = s.session.Wait() // standard error is read to its end
	if text := s.stderr.String(); text != "" {
		return fmt.Errorf("the server says: %s", printable(text))
	}
	return err
}

// explained is the stream of the server until it has answered.
type explained struct {
	io.Reader
	s *sshSession
}

func (e *explained) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil && n == 0 && errors.Is(err, io.EOF) {
		if told := e.s.explain(err); told != err { //nolint:errorlint // the very same value
			return 0, told
		}
	}
	return n, err
}

func (s *sshSession) close() {
	s.unhook()
	if s.session != nil && s.out != nil {
		// The end of a conversation without a wish.
		_ = s.conn.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(s.out, "0000")
		_ = s.session.Close()
	}
	if s.client != nil {
		_ = s.client.Close()
	}
	_ = s.conn.Close()
}

// tail keeps the beginning of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[:min(len(p), max(4096-len(t.text), 0))]...)
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
