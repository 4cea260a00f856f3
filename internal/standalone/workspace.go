// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package standalone

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/operator/stack"
	"gateway.jkaninda.dev/goma/internal/translate"
)

// workspace is a private directory that stands for the file system of the
// gateway's pod: the goma.yml and the Secrets.
type workspace struct {
	dir     string
	secrets *secretFiles
}

func newWorkspace() (*workspace, error) {
	dir, err := os.MkdirTemp("", "goma-") // for the owner only
	if err != nil {
		return nil, fmt.Errorf("making a directory for Secrets: %w", err)
	}
	secrets, err := newSecretFiles(filepath.Join(dir, "certs"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &workspace{dir: dir, secrets: secrets}, nil
}

func (w *workspace) remove() error { return os.RemoveAll(w.dir) }

func (w *workspace) paths() translate.Paths { return translate.Paths{RouteCerts: w.secrets.dir} }

func (w *workspace) configFile() string { return filepath.Join(w.dir, stack.ConfigKey) }

// write brings the files up to date with a plan. The goma.yml comes last and only
// if it differs, since the gateway follows it; it differs also when the values of
// the variables do that it names.
func (w *workspace) write(o *Objects, p *Plan, env map[string]string) error {
	if err := w.secrets.set(o, p.files); err != nil {
		return err
	}
	local := w.localFile(p.File)
	w.localSources(&local.Gateway.Providers, o, p)
	text, err := config.MarshalFile(local)
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	text = fmt.Appendf(text, "\n# variables: %s\n", fingerprint(env))
	if old, err := os.ReadFile(w.configFile()); err == nil && string(old) == string(text) {
		return nil
	}
	next := w.configFile() + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if err := os.Rename(next, w.configFile()); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

// localFile is the static configuration for a process that is in no pod: routes
// come from memory, and paths lead into the workspace.
func (w *workspace) localFile(f *config.File) *config.File {
	out := *f
	out.Middlewares = nil
	out.Gateway.Routes = []config.Route{}
	out.Gateway.Providers.File = nil
	out.Gateway.TLS = w.localTLS(f.Gateway.TLS)
	if f.CertManager != nil && f.CertManager.ACME != nil {
		manager, acme := *f.CertManager, *f.CertManager.ACME
		acme.StorageFile = filepath.Join(w.dir, "acme.json")
		manager.ACME = &acme
		out.CertManager = &manager
	}
	return &out
}

// localSources have what they keep in the workspace, which goes with the process,
// and the key of the Git source where the manifests' Secret is.
func (w *workspace) localSources(p *config.Providers, o *Objects, plan *Plan) {
	if p.HTTP != nil {
		local := *p.HTTP
		local.CacheDir = filepath.Join(w.dir, "http.json")
		p.HTTP = &local
	}
	if p.Git == nil {
		return
	}
	local := *p.Git
	local.CloneDir = filepath.Join(w.dir, "git")
	p.Git = &local
	if local.Auth == nil || local.Auth.SSHKeyPath == "" {
		return
	}
	auth, secret := *local.Auth, plan.Gateway.Spec.Providers.Git.Auth.SecretName
	auth.SSHKeyPath = filepath.Join(w.secrets.dir, secret, translate.GitKeyFile)
	auth.KnownHosts = strings.TrimSpace(string(plan.secret(o, secret)["known_hosts"]))
	local.Auth = &auth
	p.Git = &local
}

// localTLS leaves out certificates of which no manifest holds the Secret: that
// they are missing has been said already, and the files may exist in a cluster.
func (w *workspace) localTLS(t *config.TLS) *config.TLS {
	if t == nil {
		return nil
	}
	out := *t
	out.Certificates = nil
	for _, c := range t.Certificates {
		cert, key := w.local(c.Cert), w.local(c.Key.Reveal())
		if _, err := os.Stat(cert); err == nil {
			out.Certificates = append(out.Certificates, config.Certificate{Cert: cert, Key: config.PrivateKey(key)})
		}
	}
	return &out
}

func (w *workspace) local(path string) string {
	if rest, ok := strings.CutPrefix(path, translate.CertsDir+"/"); ok {
		return filepath.Join(w.secrets.dir, rest)
	}
	return path
}
