// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"fmt"
	"io"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

func TestAClientThatGivesUpIsNoFailureOfTheEndpoint(t *testing.T) {
	t.Parallel()
	var m meter
	for _, err := range []error{nil, exchange.ErrClientGone, fmt.Errorf("dial: %w", context.Canceled), io.EOF, context.DeadlineExceeded} {
		m.dialled(err)
	}
	if created, failed := m.created.Load(), m.failed.Load(); created != 1 || failed != 2 {
		t.Errorf("%d made, %d failed", created, failed)
	}
}
