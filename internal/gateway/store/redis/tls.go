// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"gateway.jkaninda.dev/goma/internal/config"
)

const secureScheme = "rediss://"

// address gives host and port, and whether the address asks for TLS.
func address(addr string) (hostPort string, secure bool) {
	rest, secure := strings.CutPrefix(addr, secureScheme)
	if !secure {
		rest = strings.TrimPrefix(addr, "redis://")
	}
	rest = strings.TrimSuffix(rest, "/")
	if _, _, err := net.SplitHostPort(rest); err != nil {
		rest = net.JoinHostPort(strings.Trim(rest, "[]"), "6379")
	}
	return rest, secure
}

// tlsConfig is nil where the connection is plain: TLS needs either all three files,
// or an address that starts with rediss://.
func tlsConfig(settings *config.Redis) (*tls.Config, error) {
	host, secure := address(settings.Addr)
	files := settings.TLS
	if files == nil {
		files = &config.RedisTLS{}
	}
	all := files.ClientCA != "" && files.ClientCert != "" && files.ClientKey != ""
	if !secure && !all {
		return nil, nil
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return nil, fmt.Errorf("reading gateway.redis.addr: %w", err)
	}
	c := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if files.ClientCA != "" {
		if c.RootCAs, err = authorities(files.ClientCA); err != nil {
			return nil, err
		}
	}
	if files.ClientCert != "" || files.ClientKey != "" {
		pair, err := tls.LoadX509KeyPair(files.ClientCert, files.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("reading gateway.redis.tls.clientCert and clientKey: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

var errNoCertificate = errors.New("holds no certificate")

func authorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading gateway.redis.tls.clientCa: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading gateway.redis.tls.clientCa: %s %w", path, errNoCertificate)
	}
	return pool, nil
}
