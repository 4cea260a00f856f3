// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package redis keeps what the replicas of a gateway share in Redis.
//
// It never holds up the start of the gateway, and a request only for a moment: a
// call has 20 ms, and after a few failures in a row the store is left alone and
// tried again once a second. What is done without it is up to who calls.
package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/counter"
	"gateway.jkaninda.dev/goma/internal/gateway/store"
)

const (
	// callTimeout bounds one call, the wait for a connection included.
	callTimeout = 20 * time.Millisecond
	// dialTimeout bounds the making of a connection, which goes on when the call
	// that asked for it has ended.
	dialTimeout = time.Second
	// defaultPrefix starts the keys of a gateway that has no prefix of its own.
	defaultPrefix = "goma:"
)

var (
	metricUp = &counter.Kind{
		Name: "gateway_store_up", Gauge: true,
		Help: "1 while the shared store answers, 0 while it is left alone. One series.",
	}
	metricFailures = &counter.Kind{
		Name: "gateway_store_failures_total",
		Help: "Calls of the shared store that failed or took too long. One series.",
	}
	metricSkipped = &counter.Kind{
		Name: "gateway_store_skipped_total",
		Help: "Calls of the shared store that were not made because it did not answer before. One series.",
	}
)

// Options are what a Store works with; all may be missing.
type Options struct {
	Logger   *slog.Logger
	Counters *counter.Set
}

// Store is a store.Store in Redis. Close ends it.
type Store struct {
	client  *redis.Client
	prefix  string
	addr    string
	log     *slog.Logger
	breaker breaker

	up, failures, skipped *counter.Value
	release               []func()
	stop                  context.CancelFunc
	flushed               chan struct{}
}

var _ store.Store = (*Store)(nil)

// New makes the store that the settings describe, whose address is set. It
// connects to nothing: the first call does. An error means that the files of TLS
// cannot be used.
func New(settings *config.Redis, o Options) (*Store, error) {
	tls, err := tlsConfig(settings)
	if err != nil {
		return nil, err
	}
	logging.Disable() // the library logs to the standard error; failures are counted and told here
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	host, _ := address(settings.Addr)
	s := &Store{prefix: settings.KeyPrefix, addr: host, log: o.Logger, breaker: breaker{now: time.Now}}
	if s.prefix == "" {
		s.prefix = defaultPrefix
	}
	s.client = redis.NewClient(&redis.Options{
		Addr: host, Username: settings.Username, Password: settings.Password.Reveal(), DB: settings.DB, TLSConfig: tls,
		Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true,
		MaxRetries: -1, DialTimeout: dialTimeout, DialerRetries: 1, PoolTimeout: callTimeout,
		ReadTimeout: callTimeout, WriteTimeout: callTimeout,
		ReadBufferSize: 4 << 10, WriteBufferSize: 4 << 10, ConnMaxIdleTime: 5 * time.Minute,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	s.count(o.Counters)
	s.startFlush(settings.FlushOnStartup)
	return s, nil
}

// Check tells what keeps a store from being made; it connects to nothing.
func Check(settings *config.Redis) error {
	if settings == nil || settings.Addr == "" {
		return nil
	}
	_, err := tlsConfig(settings)
	return err
}

// Open makes the store that the settings describe; without settings or address
// there is none, and the Store is nil.
func Open(settings *config.Redis, o Options) (*Store, error) {
	if settings == nil || settings.Addr == "" {
		return nil, nil
	}
	return New(settings, o)
}

// Shared is the store as middlewares see it: nil where there is none.
func (s *Store) Shared() store.Store {
	if s == nil {
		return nil
	}
	return s
}

func (s *Store) count(set *counter.Set) {
	get := func(k *counter.Kind) *counter.Value {
		v, release := set.Get(k)
		s.release = append(s.release, release)
		return v
	}
	s.up, s.failures, s.skipped = get(metricUp), get(metricFailures), get(metricSkipped)
	s.up.Set(1)
}

// Close lets go of all connections. A nil Store has none.
func (s *Store) Close() {
	if s == nil {
		return
	}
	s.stop()
	<-s.flushed
	_ = s.client.Close() // nobody is left who could do something about an error
	for _, release := range s.release {
		release()
	}
}

// Up tells whether the store answered when it was asked last.
func (s *Store) Up() bool { return !s.breaker.open() }

// Eval implements store.Store. A script that Redis does not know, because it is
// new or because Redis was started again, is sent with its text.
func (s *Store) Eval(ctx context.Context, script *store.Script, keys []string, args ...any) (numbers []int64, err error) {
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = s.prefix + key
	}
	err = s.call(ctx, func(ctx context.Context) error {
		cmd := s.client.EvalSha(ctx, script.Digest(), full, args...)
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			cmd = s.client.Eval(ctx, script.Source(), full, args...)
		}
		var err error
		numbers, err = cmd.Int64Slice()
		return err
	})
	return numbers, err
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		var err error
		value, err = s.client.Get(ctx, s.prefix+key).Bytes()
		ok = err == nil
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	return value, ok, err
}

// Set implements store.Store.
func (s *Store) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < time.Millisecond {
		return s.Delete(ctx, key)
	}
	return s.call(ctx, func(ctx context.Context) error { return s.client.Set(ctx, s.prefix+key, value, ttl).Err() })
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = s.prefix + key
	}
	if len(full) == 0 {
		return nil
	}
	return s.call(ctx, func(ctx context.Context) error { return s.client.Del(ctx, full...).Err() })
}

// call makes one call within its time, if the breaker admits it. That a caller
// goes away is no fault of the store.
func (s *Store) call(ctx context.Context, do func(context.Context) error) error {
	if !s.breaker.admit() {
		s.skipped.Add()
		return store.ErrUnavailable
	}
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := do(limited)
	if err == nil {
		if s.breaker.succeeded() {
			s.up.Set(1)
			s.log.Info("the shared store is back", "addr", s.addr)
		}
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
	}
	s.failures.Add()
	if s.breaker.failed() {
		s.up.Set(0)
		s.log.Warn("the shared store does not answer; each gateway counts for itself until it is back",
			"addr", s.addr, "err", explain(err))
	}
	return fmt.Errorf("%w: %s", store.ErrUnavailable, explain(err))
}

// explain says in a few words what is wrong, without what was sent: the errors of
// Redis repeat arguments.
func explain(err error) string {
	var network net.Error
	switch {
	case redis.HasErrorPrefix(err, "WRONGPASS"), redis.HasErrorPrefix(err, "NOAUTH"):
		return "the password is wrong or missing"
	case redis.HasErrorPrefix(err, "NOPERM"):
		return "the user may not run a command that the gateway needs"
	case redis.HasErrorPrefix(err, "OOM"):
		return "it is out of memory"
	case redis.HasErrorPrefix(err, "READONLY"):
		return "it is a replica that cannot be written to"
	case redis.HasErrorPrefix(err, "LOADING"):
		return "it is loading its data"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, redis.ErrPoolTimeout), errors.As(err, &network) && network.Timeout():
		return "it takes too long to answer"
	case errors.Is(err, io.EOF):
		return "it closes the connection"
	case errors.As(err, new(*net.OpError)):
		return "it cannot be reached"
	}
	return "it answers with an error"
}
