// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"gateway.jkaninda.dev/goma/internal/config"
	"gateway.jkaninda.dev/goma/internal/gateway/middleware/definition"
)

// Type is retry.
var Type = definition.Type{Names: []string{"retry"}, Phase: definition.Inner, Scoped: true, Parse: parse}

// Settings is the rule of a retry middleware. All of it has defaults.
type Settings struct {
	// Attempts is how often a request is sent at most, the first time included, 0 to
	// 10; 0 and 1 repeat nothing. Default 3.
	Attempts *int `json:"attempts"`
	// PerTryTimeout is how long one attempt may take until its answer begins. Default
	// 0, as long as it takes.
	PerTryTimeout config.Duration `json:"perTryTimeout"`
	// Timeout is how long after the first attempt the last one may begin. Default 10s.
	Timeout *config.Duration `json:"timeout"`
	// RetryOn is what a request is repeated for: statuses of the backend such as 503,
	// ranges such as 502-504, connectionError and timeout. Default: connectionError,
	// 502, 503 and 504.
	RetryOn []definition.Text `json:"retryOn"`
	// Methods are those of requests that may be repeated. Default: those that
	// are idempotent.
	Methods []string `json:"methods"`
	// Backoff is the longest pause before the second attempt; it doubles with each
	// further one. Default 25ms.
	Backoff *config.Duration `json:"backoff"`
	// MaxBackoff is the longest pause of all. Default 250ms.
	MaxBackoff *config.Duration `json:"maxBackoff"`
	// BudgetPercent is how many of a hundred requests may be repeated. Default 20.
	BudgetPercent *int `json:"budgetPercent"`
	// MaxBodySize is how much of a request's body is kept to be sent again; requests
	// with a larger one are sent once. Default 64Ki, at most 1Mi.
	MaxBodySize *definition.Text `json:"maxBodySize"`
}

// idempotent are the methods that may be repeated (RFC 9110 §9.2.2).
var idempotent = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete}

const (
	defaultAttempts   = 3
	mostAttempts      = 10
	defaultPercent    = 20
	defaultTimeout    = 10 * time.Second
	defaultBackoff    = 25 * time.Millisecond
	defaultMaxBackoff = 250 * time.Millisecond
	longestBackoff    = time.Minute
	defaultBodyBytes  = 64 << 10
	mostBodyBytes     = 1 << 20
)

// rule is what the settings mean.
type rule struct {
	attempts                             int
	perTry, timeout, backoff, maxBackoff time.Duration
	onConnection, onTimeout              bool
	onStatus                             map[int]bool
	methods                              []string
	percent                              int64
	bodyLimit                            int
}

func parse(raw json.RawMessage) (definition.Rule, []config.Problem) {
	var s Settings
	problems := definition.Decode(raw, &s)
	if config.HasErrors(problems) {
		return nil, problems
	}
	invalid := func(field, format string, args ...any) {
		problems = append(problems, definition.Invalid(field, format, args...))
	}
	e := &rule{
		attempts: number(s.Attempts, defaultAttempts), percent: int64(number(s.BudgetPercent, defaultPercent)),
		perTry: time.Duration(s.PerTryTimeout), timeout: duration(s.Timeout, defaultTimeout),
		backoff: duration(s.Backoff, defaultBackoff), maxBackoff: duration(s.MaxBackoff, defaultMaxBackoff),
		onStatus: map[int]bool{}, bodyLimit: defaultBodyBytes,
	}
	if e.attempts < 0 || e.attempts > mostAttempts {
		invalid("attempts", "%d is not 0 to %d", e.attempts, mostAttempts)
	}
	if e.percent < 0 || e.percent > 100 {
		invalid("budgetPercent", "%d is not 0 to 100", e.percent)
	}
	e.times(s, invalid)
	e.conditions(s.RetryOn, invalid)
	e.methodsOf(s.Methods, invalid)
	e.size(s.MaxBodySize, invalid)
	if config.HasErrors(problems) {
		return nil, problems
	}
	return e, problems
}

func number(n *int, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return *n
}

func duration(d *config.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return time.Duration(*d)
}

type complain func(field, format string, args ...any)

func (e *rule) times(s Settings, invalid complain) {
	switch {
	case e.perTry < 0:
		invalid("perTryTimeout", "is negative; 0 is no limit")
	case e.timeout <= 0:
		invalid("timeout", "must be positive")
	case e.backoff < 0 || e.backoff > longestBackoff:
		invalid("backoff", "must be 0 to 1m")
	case e.maxBackoff < 0 || e.maxBackoff > longestBackoff:
		invalid("maxBackoff", "must be 0 to 1m")
	case e.maxBackoff < e.backoff && s.MaxBackoff != nil:
		invalid("maxBackoff", "is less than backoff")
	}
	e.maxBackoff = max(e.maxBackoff, e.backoff)
}

func (e *rule) conditions(list []definition.Text, invalid complain) {
	if len(list) == 0 {
		list = []definition.Text{"connectionError", "502-504"}
	}
	for i, text := range list {
		switch word := strings.TrimSpace(string(text)); {
		case strings.EqualFold(word, "connectionError"):
			e.onConnection = true
		case strings.EqualFold(word, "timeout"):
			e.onTimeout = true
		case !e.statuses(word):
			invalid(fmt.Sprintf("retryOn[%d]", i), "%q is not understood; write connectionError, timeout, a status of 400 to 599, or a range such as 502-504", text)
		}
	}
}

// statuses reads a status, or a range of them.
func (e *rule) statuses(text string) bool {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, err := strconv.Atoi(strings.TrimSpace(low))
	last, otherErr := strconv.Atoi(strings.TrimSpace(high))
	if err != nil || otherErr != nil || first < 400 || last > 599 || first > last {
		return false
	}
	for status := first; status <= last; status++ {
		e.onStatus[status] = true
	}
	return true
}

func (e *rule) methodsOf(list []string, invalid complain) {
	for i, name := range list {
		name = strings.ToUpper(strings.TrimSpace(name))
		if !httpguts.ValidHeaderFieldName(name) || name == http.MethodConnect {
			invalid(fmt.Sprintf("methods[%d]", i), "%q is not a method that can be repeated", name)
		}
		e.methods = append(e.methods, name)
	}
	if len(list) == 0 {
		e.methods = idempotent
	}
}

func (e *rule) size(text *definition.Text, invalid complain) {
	if text == nil {
		return
	}
	n, err := definition.ParseSize(string(*text))
	switch {
	case err != nil:
		invalid("maxBodySize", "%v", err)
	case n > mostBodyBytes:
		invalid("maxBodySize", "is more than can be kept; use at most 1Mi")
	default:
		e.bodyLimit = int(n)
	}
}
