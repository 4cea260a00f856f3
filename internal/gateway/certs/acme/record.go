// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// record is a certificate with its key, as it is stored: one value, so that they
// always belong together. It does not change.
type record struct {
	Host        string `json:"host"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	// Renewal is what the authority advises; nil where it does not.
	Renewal *renewal `json:"renewal,omitempty"`

	pair *tls.Certificate
}

// renewal is the window in which an authority wants a certificate renewed (RFC 9773),
// and when to ask again.
type renewal struct {
	Start time.Time `json:"start,omitzero"`
	End   time.Time `json:"end,omitzero"`
	Ask   time.Time `json:"ask,omitzero"`
}

var errOtherHost = errors.New("the certificate is for other names")

// newRecord checks that a certificate, its key and its host belong together.
func newRecord(host string, chain, key []byte) (*record, error) {
	r := &record{Host: host, Certificate: string(chain), Key: string(key)}
	if err := r.parse(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *record) parse() error {
	pair, err := tls.X509KeyPair([]byte(r.Certificate), []byte(r.Key))
	if err != nil {
		return err
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return err
		}
	}
	if !slices.Contains(pair.Leaf.DNSNames, r.Host) && pair.Leaf.VerifyHostname(r.Host) != nil {
		return fmt.Errorf("%w: %v", errOtherHost, pair.Leaf.DNSNames)
	}
	r.pair = &pair
	return nil
}

func decodeRecord(data []byte) (*record, error) {
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, err
	}
	return r, r.parse()
}

func (r *record) encode() ([]byte, error) { return json.Marshal(r) }

// keep is how long the store keeps it.
func (r *record) keep(now time.Time) time.Duration {
	return max(r.pair.Leaf.NotAfter.Sub(now), 0) + 30*24*time.Hour
}

// due is when the certificate is to be renewed: at two thirds of its life, or at a
// time in the window that the authority advises, which is the same for all replicas.
func (r *record) due() time.Time {
	leaf := r.pair.Leaf
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	if w := r.Renewal; w != nil && w.End.After(w.Start) {
		at := w.Start.Add(time.Duration(share(leaf) * float64(w.End.Sub(w.Start))))
		// A new certificate is left alone for a while, whatever the authority says, or
		// an error of its own would have it asked without end.
		at = later(at, leaf.NotBefore.Add(min(max(life/90, time.Hour), life/2)))
		return earlier(at, leaf.NotAfter.Add(-life/10))
	}
	return leaf.NotBefore.Add(life / 3 * 2)
}

// share gives a certificate its place in a window: between 0 and 1, by its serial
// number, which is random.
func share(leaf *x509.Certificate) float64 {
	var sum uint64
	for _, b := range leaf.SerialNumber.Bytes() {
		sum = sum*1099511628211 + uint64(b)
	}
	return float64(sum%math.MaxUint32) / math.MaxUint32
}

// valid tells whether it can be served.
func (r *record) valid(now time.Time) bool {
	return r != nil && !now.Before(r.pair.Leaf.NotBefore) && !now.After(r.pair.Leaf.NotAfter)
}

// attempts are the orders for a host that have failed, and when the next one may be
// made.
type attempts struct {
	Failures int       `json:"failures"`
	Next     time.Time `json:"next"`
	Error    string    `json:"error,omitempty"`
	// Running says that the attempt is being made, or that who made it is gone.
	Running bool `json:"running,omitempty"`
	// Soon says that it failed on the way to the authority, and is made again at once.
	Soon bool `json:"soon,omitempty"`
}

func decodeAttempts(data []byte) (a attempts, err error) { return a, json.Unmarshal(data, &a) }

// pauses are those between attempts. The first failure may be that of a Service, or of a
// record, that has not heard of a new gateway yet. Authorities count failures by the
// hour, and five are usual: so many there are.
var pauses = [...]time.Duration{
	15 * time.Second, 2 * time.Minute, 10 * time.Minute, 45 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour,
}

// begun counts an attempt that is about to be made, as if it had failed.
func (a attempts) begun(now time.Time) attempts {
	pause := pauses[min(a.Failures, len(pauses)-1)]
	return attempts{Failures: a.Failures + 1, Next: now.Add(pause), Error: a.Error, Running: true, Soon: a.Soon}
}

// keepAttempts is how long failures are remembered.
const keepAttempts = 7 * 24 * time.Hour

// newKey makes a key of one of config.KeyTypes; anything else is the default.
func newKey(kind string) (key crypto.Signer, text []byte, err error) {
	switch strings.ToLower(kind) {
	case "rsa2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "rsa4096":
		key, err = rsa.GenerateKey(rand.Reader, 4096)
	case "ec384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, nil, err
	}
	text, err = keyPEM(key)
	return key, text, err
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

var errNoKey = errors.New("it holds no private key")

// parseKey reads PKCS #8, and the two older forms.
func parseKey(text []byte) (crypto.Signer, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errNoKey
		}
		text = rest
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if signer, ok := key.(crypto.Signer); ok {
				return signer, nil
			}
		}
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key, nil
		}
	}
}
