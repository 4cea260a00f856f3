// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Backend keeps the values. It is safe for concurrent use. Its errors are those of
// this package, or wrap them; any other is an unavailable store.
type Backend interface {
	// Load gives a value; the error is fs.ErrNotExist when there is none. Under a
	// lock, which may be nil, it is the newest that there is.
	Load(ctx context.Context, key string, under Lock) ([]byte, error)
	// Save replaces a value, unless the lock is lost.
	Save(ctx context.Context, key string, value []byte, ttl time.Duration, under Lock) error
	// Delete takes a value out, unless the lock is lost.
	Delete(ctx context.Context, key string, under Lock) error
	// TryLock takes a lock; nil is for one that somebody else has.
	TryLock(ctx context.Context, name string) (Lock, error)
}

// Lock is one that is held until it is released or lost.
type Lock interface {
	// Lost is closed when the lock has ended.
	Lost() <-chan struct{}
	// Release gives it back; one that has ended is left alone.
	Release(ctx context.Context)
}

// The bounds of what a Server does at a time.
const (
	maxCalls = 64
	maxLocks = 64
)

// Server answers gateways of its pod.
type Server struct {
	backend Backend
	log     *slog.Logger
	calls   chan struct{}
	mux     *http.ServeMux

	mu sync.Mutex

	locks map[string]*held
}

// held is a lock of a gateway.
type held struct {
	// lock is nil while it is being taken.
	lock Lock
	// done ends it, and over is closed when it has been given back.
	done func()
	over chan struct{}
}

// NewServer makes a server.
func NewServer(b Backend, log *slog.Logger) *Server {
	s := &Server{backend: b, log: log, calls: make(chan struct{}, maxCalls), mux: http.NewServeMux(), locks: map[string]*held{}}
	s.mux.HandleFunc("GET "+pathValues, s.load)
	s.mux.HandleFunc("PUT "+pathValues, s.save)
	s.mux.HandleFunc("DELETE "+pathValues, s.remove)
	s.mux.HandleFunc("POST "+pathLocks, s.take)
	s.mux.HandleFunc("DELETE "+pathLocks, s.release)
	return s
}

// Serve answers until the context ends. Locks that are held end with it.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.Serve(l)
	s.wait()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the store of certificates: %w", err)
	}
	return nil
}

// wait waits until every lock has been given back.
func (s *Server) wait() {
	s.mu.Lock()
	var all []*held
	for _, h := range s.locks {
		all = append(all, h)
	}
	s.mu.Unlock()
	for _, h := range all {
		<-h.over
	}
}

// call is what a request about a value asks for.
type call struct {
	key   string
	under Lock
	end   func()
}

// begin checks a request about a value; it answers by itself what cannot go on.
func (s *Server) begin(w http.ResponseWriter, r *http.Request) (c call, ok bool) {
	c.key = r.FormValue("key")
	if !validKey(c.key) {
		fail(w, fmt.Errorf("%w: no key, or none that is one", errBadRequest))
		return c, false
	}
	if id := r.Header.Get(headerLock); id != "" {
		h := s.find(id)
		if h == nil {
			fail(w, ErrLost)
			return c, false
		}
		c.under = h.lock
	}
	select {
	case s.calls <- struct{}{}:
		c.end = func() { <-s.calls }
		return c, true
	default:
		fail(w, fmt.Errorf("%w: too many calls at a time", ErrUnavailable))
		return c, false
	}
}

func (s *Server) load(w http.ResponseWriter, r *http.Request) {
	c, ok := s.begin(w, r)
	if !ok {
		return
	}
	defer c.end()
	value, err := s.backend.Load(r.Context(), c.key, c.under)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(value) // who asked is gone
}

func (s *Server) save(w http.ResponseWriter, r *http.Request) {
	c, ok := s.begin(w, r)
	if !ok {
		return
	}
	defer c.end()
	seconds, err := strconv.ParseInt(r.FormValue("ttl"), 10, 64)
	if err != nil || seconds < 0 || seconds > maxTTLSeconds {
		fail(w, fmt.Errorf("%w: ttl is no number of seconds", errBadRequest))
		return
	}
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxValueBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		fail(w, fmt.Errorf("%w: a Secret holds %d bytes", ErrTooLarge, MaxValueBytes))
		return
	case err != nil:
		return // who sent it is gone
	}
	if err := s.backend.Save(r.Context(), c.key, value, time.Duration(seconds)*time.Second, c.under); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// maxTTLSeconds is a hundred years.
const maxTTLSeconds = 100 * 365 * 24 * 60 * 60

func (s *Server) remove(w http.ResponseWriter, r *http.Request) {
	c, ok := s.begin(w, r)
	if !ok {
		return
	}
	defer c.end()
	if err := s.backend.Delete(r.Context(), c.key, c.under); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// take gives a lock to who asks, for as long as the connection is there.
func (s *Server) take(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("name")
	if !validKey(name) {
		fail(w, fmt.Errorf("%w: no name, or none that is one", errBadRequest))
		return
	}
	ctx, done := context.WithCancel(r.Context())
	defer done()
	id, h := rand.Text(), &held{done: done, over: make(chan struct{})}
	if !s.add(id, h) {
		fail(w, fmt.Errorf("%w: too many locks at a time", ErrUnavailable))
		return
	}
	defer s.forget(id)
	lock, err := s.backend.TryLock(ctx, name)
	if err == nil && lock == nil {
		err = errLocked
	}
	if err != nil {
		fail(w, err)
		return
	}
	defer lock.Release(context.WithoutCancel(ctx))
	s.got(h, lock)
	// This answer has no end of its own.
	c := http.NewResponseController(w)
	w.Header().Set(headerLock, id)
	w.WriteHeader(http.StatusOK)
	if errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{}), c.Flush()) != nil {
		return
	}
	select {
	case <-ctx.Done():
	case <-lock.Lost():
	}
}

// release gives a lock back, and answers when that is done.
func (s *Server) release(w http.ResponseWriter, r *http.Request) {
	if h := s.find(r.Header.Get(headerLock)); h != nil {
		h.done()
		select {
		case <-h.over:
		case <-r.Context().Done():
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// add counts a lock that is about to be taken, unless there are too many.
func (s *Server) add(id string, h *held) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.locks) >= maxLocks {
		return false
	}
	s.locks[id] = h
	return true
}

func (s *Server) got(h *held, l Lock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.lock = l
}

// find gives a lock that is held; nil for none.
func (s *Server) find(id string) *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.locks[id]; h != nil && h.lock != nil {
		return h
	}
	return nil
}

// forget is called when a lock has been given back.
func (s *Server) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.locks[id].over)
	delete(s.locks, id)
}

// fail tells an error. No error of a backend holds a value.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			status = s.status
			break
		}
	}
	text := err.Error()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text[:min(len(text), maxErrorBytes)])
}
