// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"net/http"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

// WebhookPath is where servers of repositories tell of a push, on the admin
// listener.
const WebhookPath = "/-/git/webhook"

// maxEvent is the longest message that is looked at; GitHub sends no longer ones.
const maxEvent = 25 << 20

// Webhook has the repository read when somebody who knows the secret says that it
// has changed. What the message says is of no interest: the repository itself is
// asked. GitHub, Gitea, Forgejo and Bitbucket sign the message, GitLab sends the
// secret.
func Webhook(secret config.Secret, read func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !authentic(r, []byte(secret.Reveal())) {
			http.Error(w, "the signature is missing or wrong", http.StatusUnauthorized)
			return
		}
		read()
		w.WriteHeader(http.StatusAccepted)
	})
}

// authentic reads the whole message, and compares in constant time.
func authentic(r *http.Request, secret []byte) bool {
	if len(secret) == 0 {
		return false
	}
	if token := r.Header.Get("X-Gitlab-Token"); token != "" {
		return subtle.ConstantTimeCompare([]byte(token), secret) == 1
	}
	var want []byte
	for _, name := range []string{"X-Hub-Signature-256", "X-Hub-Signature", "X-Gitea-Signature", "X-Forgejo-Signature"} {
		value := strings.TrimPrefix(r.Header.Get(name), "sha256=")
		if sum, err := hex.DecodeString(value); err == nil && len(sum) == sha256.Size {
			want = sum
			break
		}
	}
	if want == nil {
		return false
	}
	sum := hmac.New(sha256.New, secret)
	if n, err := io.Copy(sum, io.LimitReader(r.Body, maxEvent+1)); err != nil || n > maxEvent {
		return false
	}
	return hmac.Equal(sum.Sum(nil), want)
}
