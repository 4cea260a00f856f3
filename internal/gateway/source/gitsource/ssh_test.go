// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"gateway.jkaninda.dev/goma/internal/config"
)

// sshServer runs git-upload-pack for whoever has the key.
type sshServer struct {
	t         *testing.T
	address   string
	host      ssh.Signer
	key       []byte // the private key of the client, PEM
	variables bool   // takes GIT_PROTOCOL
	silent    bool   // takes connections, and says nothing

	accepted chan struct{} // for each connection
	mu       sync.Mutex
	commands []string
	conns    []net.Conn
}

func newKey(t *testing.T, passphrase string) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	check(t, err)
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	check(t, err)
	return signer, pem.EncodeToMemory(block)
}

func serveSSH(t *testing.T, passphrase string, set func(*sshServer)) *sshServer {
	t.Helper()
	s := &sshServer{t: t, accepted: make(chan struct{}, 1000)}
	set(s)
	s.host, _ = newKey(t, "")
	client, text := newKey(t, passphrase)
	s.key = text
	settings := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() != "git" || string(k.Marshal()) != string(client.PublicKey().Marshal()) {
			return nil, fmt.Errorf("no")
		}
		return nil, nil
	}}
	settings.AddHostKey(s.host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	s.address = listener.Addr().String()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.accepted <- struct{}{}
			if !s.silent {
				running.Go(func() { s.connection(conn, settings) })
			}
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		running.Wait()
	})
	return s
}

func (s *sshServer) connection(conn net.Conn, settings *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(conn, settings)
	if err != nil {
		_ = conn.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err == nil {
			s.session(channel, requests)
		}
	}
}

func (s *sshServer) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	env := environment()
	for r := range requests {
		switch r.Type {
		case "env":
			var v struct{ Name, Value string }
			_ = ssh.Unmarshal(r.Payload, &v)
			if s.variables {
				env = append(env, v.Name+"="+v.Value)
			}
			_ = r.Reply(s.variables, nil)
		case "exec":
			var c struct{ Command string }
			_ = ssh.Unmarshal(r.Payload, &c)
			s.mu.Lock()
			s.commands = append(s.commands, c.Command)
			s.mu.Unlock()
			_ = r.Reply(true, nil)
			cmd := exec.CommandContext(s.t.Context(), "sh", "-c", c.Command)
			cmd.Env, cmd.Stdout, cmd.Stderr = env, channel, channel.Stderr()
			stdin, _ := cmd.StdinPipe()
			go func() { _, _ = io.Copy(stdin, channel); _ = stdin.Close() }()
			status := struct{ Code uint32 }{}
			if cmd.Run() != nil {
				status.Code = 1
			}
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
			_ = channel.Close()
		default:
			_ = r.Reply(false, nil)
		}
	}
}

// line is the server's line of known_hosts.
func (s *sshServer) line() string {
	return knownhosts.Line([]string{knownhosts.Normalize(s.address)}, s.host.PublicKey())
}

// provider has the key, and knows the server, as a Secret of Kubernetes would be
// mounted.
func (s *sshServer) provider(repo *repository) *config.GitProvider {
	dir := s.t.TempDir()
	check(s.t, os.WriteFile(filepath.Join(dir, "ssh-privatekey"), s.key, 0o400))
	check(s.t, os.WriteFile(filepath.Join(dir, "known_hosts"), []byte(s.line()+"\n"), 0o400))
	p := settings(s.t, "ssh://git@"+s.address+repo.bare)
	p.Auth = &config.GitAuth{Type: "ssh", SSHKeyPath: filepath.Join(dir, "ssh-privatekey")}
	return p
}

func TestARepositoryIsFollowedOverSSH(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"false", "true"} {
		for _, variables := range []bool{false, true} {
			t.Run(fmt.Sprintf("variables %v, filter %s", variables, filter), func(t *testing.T) {
				t.Parallel()
				repo := newRepository(t)
				repo.run(repo.bare, "config", "uploadpack.allowFilter", filter)
				repo.write("conf/a.yaml", route("a"))
				repo.write("big.bin", strings.Repeat("0123456789", 100_000))
				repo.push()
				s := serveSSH(t, "", func(s *sshServer) { s.variables = variables })
				p := s.provider(repo)
				p.Path = "conf"
				r := run(t, p)
				if u := r.next(); names(u) != "a" || len(u.Problems) != 0 {
					t.Fatalf("%+v", u)
				}
				if _, n, err := r.refresh(); n != 0 || err != nil {
					t.Errorf("%d updates, %v", n, err)
				}
				repo.write("conf/b.yaml", route("b"))
				repo.push()
				r.expect("a b")
			})
		}
	}
}

func TestAServerThatIsNotKnownIsNotAsked(t *testing.T) { // S4
	t.Parallel()
	repo := newRepository(t)
	repo.write("a.yaml", route("a"))
	repo.push()
	other, _ := newKey(t, "")
	for _, c := range []struct {
		name   string
		change func(t *testing.T, s *sshServer, p *config.GitProvider)
		says   string // empty: it is asked
	}{
		{"in a file beside the key", func(*testing.T, *sshServer, *config.GitProvider) {}, ""},
		{"in the setting", func(t *testing.T, s *sshServer, p *config.GitProvider) {
			check(t, os.Remove(filepath.Join(filepath.Dir(p.Auth.SSHKeyPath), "known_hosts")))
			p.Auth.KnownHosts = s.line()
		}, ""},
		{"in a file that the setting names", func(t *testing.T, s *sshServer, p *config.GitProvider) {
			p.Auth.KnownHosts = filepath.Join(t.TempDir(), "hosts")
			check(t, os.WriteFile(p.Auth.KnownHosts, []byte(knownhosts.HashHostname(knownhosts.Normalize(s.address))+" "+strings.SplitN(s.line(), " ", 2)[1]+"\n"), 0o600))
		}, ""},
		{"ignored on demand", func(t *testing.T, _ *sshServer, p *config.GitProvider) {
			check(t, os.Remove(filepath.Join(filepath.Dir(p.Auth.SSHKeyPath), "known_hosts")))
			p.Auth.InsecureIgnoreHostKey = true
		}, ""},
		{"nowhere", func(_ *testing.T, _ *sshServer, p *config.GitProvider) {
			p.Auth.KnownHosts = "[127.0.0.2]:22 " + string(ssh.MarshalAuthorizedKey(other.PublicKey()))
		}, "ssh-keyscan"},
		{"with another key", func(_ *testing.T, s *sshServer, p *config.GitProvider) {
			p.Auth.KnownHosts = knownhosts.Line([]string{knownhosts.Normalize(s.address)}, other.PublicKey())
		}, "not the known one"},
		{"in a file that is missing", func(_ *testing.T, _ *sshServer, p *config.GitProvider) {
			p.Auth.KnownHosts = "/nonexistent/known_hosts"
		}, "known_hosts"},
		{"in lines that are none", func(_ *testing.T, _ *sshServer, p *config.GitProvider) {
			p.Auth.KnownHosts = "host ssh-ed25519 nonsense\n"
		}, "known_hosts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serveSSH(t, "", func(*sshServer) {})
			p := s.provider(repo)
			c.change(t, s, p)
			u := run(t, p).next()
			switch {
			case c.says == "" && (names(u) != "a" || len(u.Problems) != 0):
				t.Errorf("%+v", u)
			case c.says != "" && (u.Bundle != nil || !strings.Contains(fmt.Sprint(u.Problems), c.says) || len(s.commands) > 0):
				t.Errorf("%+v %v", u, s.commands)
			}
		})
	}
}

func TestTheKeyIsReadInEverySpelling(t *testing.T) {
	t.Parallel()
	repo := newRepository(t)
	repo.write("a.yaml", route("a"))
	repo.push()
	_, foreign := newKey(t, "")
	for _, c := range []struct {
		name, passphrase string
		change           func(s *sshServer, a *config.GitAuth)
		says             string
	}{
		{"a file", "", func(*sshServer, *config.GitAuth) {}, ""},
		{"base64", "", func(s *sshServer, a *config.GitAuth) {
			a.SSHKeyData = config.Secret(base64.StdEncoding.EncodeToString(s.key))
		}, ""},
		{"PEM", "", func(s *sshServer, a *config.GitAuth) { a.SSHKeyData = config.Secret(s.key) }, ""},
		{"with a passphrase", "canary", func(_ *sshServer, a *config.GitAuth) { a.Password = "canary" }, ""},
		{"without its passphrase", "canary", func(*sshServer, *config.GitAuth) {}, "has a passphrase"},
		{"with a wrong passphrase", "right", func(_ *sshServer, a *config.GitAuth) { a.Password = "canary" }, "passphrase is wrong"},
		{"of somebody else", "", func(_ *sshServer, a *config.GitAuth) { a.SSHKeyData = config.Secret(foreign) }, "does not take the key"},
		{"missing", "", func(_ *sshServer, a *config.GitAuth) { a.SSHKeyPath = "/nonexistent/key" }, "no such file"},
		{"nonsense", "", func(_ *sshServer, a *config.GitAuth) { a.SSHKeyData = "canary" }, "neither PEM nor base64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serveSSH(t, c.passphrase, func(*sshServer) {})
			p := s.provider(repo)
			p.Auth.KnownHosts = s.line()
			c.change(s, p.Auth)
			u := run(t, p).next()
			if c.says == "" && names(u) != "a" || c.says != "" && (u.Bundle != nil || !strings.Contains(fmt.Sprint(u.Problems), c.says)) {
				t.Errorf("%+v", u)
			}
			if strings.Contains(fmt.Sprint(u.Problems), "canary") { // C8
				t.Errorf("a secret is told: %v", u.Problems)
			}
		})
	}
}

func TestTheServersOwnWordsAreTold(t *testing.T) {
	t.Parallel()
	repo := newRepository(t)
	s := serveSSH(t, "", func(*sshServer) {})
	p := s.provider(repo)
	p.URL += "'; echo x; '"
	u := run(t, p).next()
	if u.Bundle != nil || !strings.Contains(fmt.Sprint(u.Problems), "does not appear to be a git repository") {
		t.Errorf("%+v", u)
	}
}

func TestAServerThatSaysNothingIsGivenUp(t *testing.T) { // S4
	t.Parallel()
	repo := newRepository(t)
	s := serveSSH(t, "", func(s *sshServer) { s.silent = true })
	r := run(t, s.provider(repo))
	<-s.accepted
	r.stop() // does not wait for the server
}
