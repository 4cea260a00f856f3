// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build peers

// Package git tests the Git source against OpenSSH and git. It needs the commands
// sshd, ssh-keygen, ssh-keyscan and git (Debian: openssh-server, openssh-client,
// git), and starts a server of its own on a loopback port, with keys of its own; the
// one of the system is never touched.
package git

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gateway.jkaninda.dev/goma/test/peers/loopback"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command finds a program, also where only the administrator looks.
func command(t *testing.T, name, pkg string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if path := filepath.Join("/usr/sbin", name); exec.CommandContext(t.Context(), "test", "-x", path).Run() == nil {
		return path
	}
	t.Fatalf("%s is missing: install the package %s", name, pkg)
	return ""
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

// server is one sshd.
type server struct {
	t *testing.T
	// folder holds the keys: host and client, each with its public half.
	folder     string
	host, port string
	user       string
}

// start runs sshd with some lines more in its settings.
func start(t *testing.T, more string) *server {
	t.Helper()
	sshd := command(t, "sshd", "openssh-server")
	keygen := command(t, "ssh-keygen", "openssh-client")
	me, err := user.Current()
	must(t, err)
	host, port, err := net.SplitHostPort(loopback.Address(t))
	must(t, err)
	s := &server{t: t, folder: t.TempDir(), host: host, port: port, user: me.Username}
	for name, kind := range map[string]string{"host_rsa": "rsa", "host_ecdsa": "ecdsa", "host_ed25519": "ed25519", "client": "ed25519"} {
		run(t, s.folder, keygen, "-q", "-t", kind, "-N", "", "-f", filepath.Join(s.folder, name))
	}
	if os.Geteuid() == 0 {
		must(t, os.MkdirAll("/run/sshd", 0o755)) // sshd as root does not start without
	}
	settings := fmt.Sprintf(`
ListenAddress %s:%s
HostKey %[3]s/host_rsa
HostKey %[3]s/host_ecdsa
HostKey %[3]s/host_ed25519
AuthorizedKeysFile %[3]s/client.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
%[4]s
`, s.host, s.port, s.folder, more)
	file := filepath.Join(s.folder, "sshd_config")
	must(t, os.WriteFile(file, []byte(settings), 0o600))
	output := &strings.Builder{}
	cmd := exec.CommandContext(context.Background(), sshd, "-D", "-e", "-f", file)
	cmd.Stderr = output
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("sshd says:\n%s", output)
		}
	})
	s.await()
	return s
}

// await waits until the server takes connections.
func (s *server) await() {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", net.JoinHostPort(s.host, s.port)); err == nil {
			_ = conn.Close()
			return
		}
	}
	s.t.Fatal("sshd does not take connections")
}

// scan gives the lines of known_hosts for one kind of key, as ssh-keyscan prints
// them.
func (s *server) scan(kind string) string {
	s.t.Helper()
	return run(s.t, s.folder, command(s.t, "ssh-keyscan", "openssh-client"), "-p", s.port, "-t", kind, s.host)
}
