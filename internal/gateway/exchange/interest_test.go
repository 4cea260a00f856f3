// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"gateway.jkaninda.dev/goma/internal/gateway/exchange"
)

type cutter struct {
	once sync.Once
	cut  chan struct{}
}

func newCutter() *cutter { return &cutter{cut: make(chan struct{})} }

func (c *cutter) Cut() { c.once.Do(func() { close(c.cut) }) }

func TestWorkIsCutWhenTheClientGoes(t *testing.T) { // H11
	t.Parallel()
	var i exchange.Interest
	first, second, third := newCutter(), newCutter(), newCutter()
	if !i.Begin(first) || !i.End() || !i.Begin(second) {
		t.Fatal("a live interest is refused")
	}
	i.Lose(exchange.ErrClientGone)
	<-second.cut
	select {
	case <-first.cut:
		t.Error("work that was over is cut")
	default:
	}
	if i.End() || i.Begin(third) {
		t.Error("an interest has come back")
	}
}

func TestAnInterestIsAContext(t *testing.T) {
	t.Parallel()
	type name struct{}
	x := &exchange.Exchange{Host: "h"}
	i := &exchange.Interest{Exchange: x, Parent: context.WithValue(context.Background(), name{}, "v")}
	child, cancel := context.WithCancel(i)
	defer cancel()
	if i.Err() != nil || i.Value(name{}) != "v" || exchange.From(child) != x {
		t.Errorf("%v %v %v", i.Err(), i.Value(name{}), exchange.From(child))
	}
	ran := make(chan struct{})
	context.AfterFunc(i, func() { close(ran) })
	if stop := context.AfterFunc(i, func() { t.Error("was stopped") }); !stop() || stop() {
		t.Error("stop tells the wrong thing")
	}
	i.Lose(exchange.ErrClientGone)
	<-i.Done()
	<-child.Done()
	<-ran
	if !errors.Is(i.Err(), context.Canceled) {
		t.Errorf("%v", i.Err())
	}
	late := make(chan struct{})
	context.AfterFunc(i, func() { close(late) })
	<-late
}

func TestAnyContextStandsForAnInterest(t *testing.T) {
	t.Parallel()
	own := &exchange.Interest{}
	if i, stop := exchange.InterestOf(own); i != own {
		t.Error("an interest stands for itself")
	} else {
		stop()
	}
	ctx, cancel := context.WithCancel(context.Background())
	i, stop := exchange.InterestOf(ctx)
	defer stop()
	work := newCutter()
	i.Begin(work)
	cancel()
	<-work.cut
}
