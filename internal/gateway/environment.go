// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// The variables of the process, beside those that package config reads.
const (
	envDrainDelay  = "GOMA_DRAIN_DELAY"
	envGracePeriod = "GOMA_GRACE_PERIOD"
)

// defaultGrace is for a gateway that nobody else stops after a while.
const defaultGrace = 10 * time.Second

// drainTimes gives the two times of a shutdown.
func drainTimes(o Options) (delay, grace time.Duration, err error) {
	if delay, err = environmentDuration(envDrainDelay, 0); err != nil {
		return 0, 0, err
	}
	if o.DrainDelay != nil {
		delay = *o.DrainDelay
	}
	if grace, err = environmentDuration(envGracePeriod, defaultGrace); err != nil {
		return 0, 0, err
	}
	if o.GracePeriod > 0 {
		grace = o.GracePeriod
	}
	return delay, grace, nil
}

// environmentDuration reads 5s, or 5 for seconds.
func environmentDuration(name string, fallback time.Duration) (time.Duration, error) {
	text := os.Getenv(name)
	if text == "" {
		return fallback, nil
	}
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s is %q; write it like 5s", name, text)
	}
	return d, nil
}
