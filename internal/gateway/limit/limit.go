// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package limit is the one policy on how long a peer may take, for connections of
// clients and of backends: a step of a transfer has a time limit, progress earns
// more of it, and a whole transfer has none.
package limit

import "time"

// Slack is how much later than asked for a lazy deadline may strike.
const Slack = time.Second

// Deadline is the deadline of one direction of a connection. Moving a deadline
// costs more than a small read, and nearly all of them are moved long before they
// strike; so it is moved only when it would strike too early, and a little further
// than asked for. The zero value is no deadline.
type Deadline struct {
	// at is in nanoseconds of the monotonic clock; 0 is none.
	at int64
}

var epoch = time.Now()

// Within has the connection fail when d has passed from now, and at most Slack
// later. set is the SetReadDeadline or SetWriteDeadline of the connection.
func (l *Deadline) Within(set func(time.Time) error, now time.Time, d time.Duration) {
	want := int64(now.Sub(epoch)) + int64(d)
	if l.at >= want && l.at <= want+int64(Slack) {
		return
	}
	l.at = want + int64(Slack)/2
	_ = set(now.Add(d + Slack/2)) // the next read or write tells what is wrong
}

// Exactly is Within without the slack.
func (l *Deadline) Exactly(set func(time.Time) error, now time.Time, d time.Duration) {
	l.at = int64(now.Sub(epoch)) + int64(d)
	_ = set(now.Add(d)) // as above
}

// Never takes the deadline away.
func (l *Deadline) Never(set func(time.Time) error) {
	if l.at != 0 {
		l.at = 0
		_ = set(time.Time{}) // as above
	}
}

// Pace says how long a peer may take for the next step of a body: never more than
// Limit at once, and in all no more than Limit and what the bytes so far have
// earned. So a stalled peer is cut, a trickling one too, and a long transfer never.
// Time that the other side takes does not count. H9, H10
type Pace struct {
	Limit time.Duration
	// Rate is in bytes per second; 0 for no least rate.
	Rate int64

	waited time.Duration
	moved  int64
}

// Next gives the time for the next step; nothing is left when it is not positive.
func (p *Pace) Next() time.Duration {
	if p.Rate == 0 {
		return p.Limit
	}
	earned := time.Duration(p.moved/p.Rate) * time.Second
	return min(p.Limit, p.Limit+earned-p.waited)
}

// Note says that a step moved n bytes.
func (p *Pace) Note(n int, took time.Duration) {
	p.moved += int64(n)
	p.waited += took
}
