// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/translate/resolve"
)

// How long a finding about a Secret holds, and when to look again at something
// that lacks one. Secrets are not watched, so these are what a user waits for
// after creating a missing one.
const (
	secretFoundFor   = 30 * time.Second
	secretMissingFor = 2 * time.Second
	secretRetry      = 3 * time.Second
)

// secrets reads Secrets by name and remembers what it found for a short time, so
// that many Routes with one certificate cost one read. It remembers findings,
// never content.
type secrets struct {
	live client.Reader
	now  func() time.Time

	mu sync.Mutex

	found map[secretKey]finding
}

// secretKey is a Secret and what it is needed for.
type secretKey struct {
	name  types.NamespacedName
	keys  string
	value bool
}

type finding struct {
	until   time.Time
	version string
	reason  config.Reason
	message string
}

func newSecrets(live client.Reader) *secrets {
	return &secrets{live: live, now: time.Now, found: map[secretKey]finding{}}
}

// check looks at the Secret of a reference. It returns the resource version,
// empty when there is no such Secret, and what is wrong with it for this
// reference, nil when nothing is.
func (s *secrets) check(ctx context.Context, ref resolve.SecretRef) (string, *config.Problem, error) {
	key := secretKey{ref.Secret, strings.Join(ref.Keys, ","), ref.Value}
	f, ok := s.remembered(key)
	if !ok {
		var err error
		if f, err = s.look(ctx, ref); err != nil {
			return "", nil, err
		}
		s.remember(key, f)
	}
	if f.reason == "" {
		return f.version, nil, nil
	}
	return f.version, &config.Problem{Object: ref.Object, Field: ref.Field, Reason: f.reason, Message: f.message}, nil
}

// exists tells whether there is a Secret of a name, whatever is in it.
func (s *secrets) exists(ctx context.Context, name types.NamespacedName) (bool, error) {
	version, _, err := s.check(ctx, resolve.SecretRef{Secret: name})
	return version != "", err
}

func (s *secrets) look(ctx context.Context, ref resolve.SecretRef) (finding, error) {
	if !resolve.ValidName(ref.Secret.Name) {
		p := ref.Missing()
		return finding{reason: p.Reason, message: p.Message}, nil
	}
	var secret corev1.Secret
	err := s.live.Get(ctx, ref.Secret, &secret)
	if apierrors.IsNotFound(err) {
		p := ref.Missing()
		return finding{reason: p.Reason, message: p.Message}, nil
	}
	if err != nil {
		return finding{}, fmt.Errorf("reading Secret %s: %w", ref.Secret, err)
	}
	f := finding{version: secret.ResourceVersion}
	if p := ref.Check(secret.Data); p != nil {
		f.reason, f.message = p.Reason, p.Message
	}
	return f, nil
}

func (s *secrets) remembered(key secretKey) (finding, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.found[key]
	if ok && s.now().After(f.until) {
		delete(s.found, key)
		return finding{}, false
	}
	return f, ok
}

func (s *secrets) remember(key secretKey, f finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	f.until = now.Add(secretFoundFor)
	if f.reason != "" {
		f.until = now.Add(secretMissingFor)
	}
	s.found[key] = f
	s.sweep(now)
}

// sweep drops findings that no longer hold, once there are many.
func (s *secrets) sweep(now time.Time) {
	if len(s.found) < 1024 {
		return
	}
	for key, f := range s.found {
		if now.After(f.until) {
			delete(s.found, key)
		}
	}
}
