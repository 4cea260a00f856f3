// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Command backend is what the gateway stands in front of in tests. It answers
// with what it has seen, as JSON, and on a few paths with what tests need:
//
//	/healthz          200
//	/status/CODE      that status
//	/slow?d=2s        an answer after a while
//	/stream?n=3&d=1s  n lines, one at a time
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	address := flag.String("address", ":8080", "address to listen on")
	name := flag.String("name", os.Getenv("POD_NAME"), "name to answer with")
	flag.Parse()
	server := &http.Server{Addr: *address, Handler: handler(*name), ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(ending)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// seen is what a request looked like to the backend.
type seen struct {
	Name    string      `json:"name"`
	Method  string      `json:"method"`
	Host    string      `json:"host"`
	Path    string      `json:"path"`
	Query   string      `json:"query"`
	Headers http.Header `json:"headers"`
}

func handler(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/status/{code}", status)
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/stream", stream)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(seen{name, r.Method, r.Host, r.URL.EscapedPath(), r.URL.RawQuery, r.Header})
	})
	return mux
}

func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		code = http.StatusBadRequest
	}
	w.WriteHeader(code)
}

func slow(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(duration(r)):
	case <-r.Context().Done():
		return
	}
	_, _ = fmt.Fprintln(w, "slow")
}

func stream(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	for i := range min(n, 1000) {
		_, _ = fmt.Fprintln(w, i)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(duration(r)):
		case <-r.Context().Done():
			return
		}
	}
}

// duration is at most a minute.
func duration(r *http.Request) time.Duration {
	d, err := time.ParseDuration(r.URL.Query().Get("d"))
	if err != nil {
		d = time.Second
	}
	return min(d, time.Minute)
}
