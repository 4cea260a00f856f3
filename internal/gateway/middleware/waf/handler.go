// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package waf

import (
	"log/slog"
	"net/http"
	"strconv"

	"github.com/corazawaf/coraza/v3/types"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/scope"
	"gateway.jkaninda.dev/goma/internal/gateway/reply"
)

type handler struct {
	*rule

	covered *scope.Scope
	engine  *engine
	matches *matches
	log     *slog.Logger
	name    string
	next    http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.covered.Covers(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	if refusal := h.inspect(r); refusal != nil {
		exchange.Of(r).Reason = refusal.reason
		reply.Error(w, r, refusal.status, refusal.message)
		return
	}
	h.next.ServeHTTP(w, r)
}

// refusal is the answer in place of the backend.
type refusal struct {
	status          int
	reason, message string
}

// inspect gives the refusal of a request, or nil. The request is let go of before
// its answer begins.
func (h *handler) inspect(r *http.Request) *refusal {
	tx := h.engine.begin()
	defer tx.Close() //nolint:errcheck // it holds memory only
	head(tx, r)
	stop := tx.ProcessRequestHeaders()
	if stop == nil {
		if refused := h.body(tx, r); refused != nil {
			return refused
		}
		var err error
		if stop, err = tx.ProcessRequestBody(); err != nil {
			return h.unless(&refusal{http.StatusBadRequest, "waf_body", "400 Bad Request: the body cannot be inspected"})
		}
	}
	h.report(tx, r, stop)
	if stop == nil || h.detect {
		return nil
	}
	status := stop.Status
	if status < 400 || status > 599 {
		status = http.StatusForbidden
	}
	return &refusal{status: status, reason: "waf"}
}

// unless gives the refusal, unless nothing is to be refused.
func (h *handler) unless(r *refusal) *refusal {
	if h.detect {
		return nil
	}
	return r
}

// head shows the engine what the backend gets, and the derived client address.
func head(tx types.Transaction, r *http.Request) {
	x := exchange.Of(r)
	client := ""
	if x.ClientIP.IsValid() {
		client = x.ClientIP.Unmap().String()
	}
	tx.ProcessConnection(client, 0, "", 0)
	uri := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		uri += "?" + r.URL.RawQuery
	}
	tx.ProcessURI(uri, r.Method, r.Proto)
	for name, values := range r.Header {
		for _, value := range values {
			tx.AddRequestHeader(name, value)
		}
	}
	if r.Host != "" {
		tx.AddRequestHeader("Host", r.Host)
		tx.SetServerName(r.Host)
	}
	framing(tx, r)
}

// framing shows the headers that net/http keeps elsewhere.
func framing(tx types.Transaction, r *http.Request) {
	switch {
	case r.ContentLength > 0 || r.ContentLength == 0 && r.Body != nil && r.Method != http.MethodGet && r.Method != http.MethodHead:
		tx.AddRequestHeader("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	case r.ContentLength < 0 && r.ProtoMajor == 1:
		tx.AddRequestHeader("Transfer-Encoding", "chunked")
	}
}

// report counts the rules that matched, and logs those that are the reason for a
// refusal, or would be. What matched is not told: it may be a secret.
func (h *handler) report(tx types.Transaction, r *http.Request, stop *types.Interruption) {
	var found []int
	for _, m := range tx.MatchedRules() {
		switch id := m.Rule().ID(); {
		case id >= firstRule && id <= lastRule && m.Message() != "":
			h.matches.count(id)
			found = append(found, id)
		case id == blockingRule && stop == nil:
			// In detect mode the engine does not stop, but says that it would.
			stop = &types.Interruption{}
		}
	}
	if stop == nil {
		return
	}
	action := "refused"
	if h.detect {
		action = "detected"
	} else {
		h.matches.refused.Add()
	}
	x := exchange.Of(r)
	h.log.LogAttrs(r.Context(), slog.LevelWarn, "the firewall found an attack", slog.String("route", x.Route), slog.String("middleware", h.name),
		slog.String("request_id", x.RequestID), slog.String("action", action), slog.Any("rules", found))
}

// blockingRule adds the points up.
const blockingRule = 949110
