// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	runtime.LockOSThread() // Pdeathsig follows the thread that started the child
	log.SetFlags(0)
	b := &bench{}
	var patterns string
	flag.StringVar(&patterns, "scenarios", "all", "names or patterns, separated by commas: "+names())
	flag.StringVar(&b.only, "only", "", "targets, separated by commas (default all); nginx is always among them")
	flag.IntVar(&b.rounds, "rounds", 7, "interleaved rounds")
	flag.DurationVar(&b.duration, "d", 4*time.Second, "how long a sample lasts")
	flag.IntVar(&b.conns, "c", 0, "connections (default as the scenario says)")
	flag.IntVar(&b.routes, "routes", 0, "routes, where a scenario has several (default as it says)")
	flag.StringVar(&b.proxyCPUs, "proxycpu", "0", "CPUs of proxies with one worker; empty for all")
	flag.StringVar(&b.pinnedLoad, "loadcpu", "1", "CPUs of load generator and origin meanwhile; empty for all")
	flag.BoolVar(&b.spin, "spin", false, "keep the CPUs from halting with idle-priority loops: less noise on virtual machines")
	flag.StringVar(&b.origin, "origin", "", "the program that stands behind the proxies")
	flag.StringVar(&b.json, "json", "", "file for all samples")
	flag.StringVar(&b.docs, "docs", "", "Markdown file whose table is written anew, between its markers")
	flag.BoolVar(&b.keep, "keep", false, "keep the working directory, with configurations and logs")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, b, patterns)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, b *bench, patterns string) error {
	list, err := choose(patterns)
	if err != nil {
		return err
	}
	if b.origin == "" {
		return fmt.Errorf("-origin is missing; start this program with run.sh, which builds it")
	}
	if b.dir, err = os.MkdirTemp("", "goma-bench-"); err != nil {
		return err
	}
	defer b.cleanUp()
	if err := os.Chmod(b.dir, 0o755); err != nil { // nginx's workers give up their rights
		return err
	}
	if err := writeCertificate(b.dir); err != nil {
		return err
	}
	results := &Results{Machine: machine(ctx), Began: time.Now().UTC(), Rounds: b.rounds, Seconds: b.duration.Seconds()}
	fmt.Print(results.Machine.markdown())
	for i := range list {
		s := b.adjust(list[i])
		log.Printf("%s: %s", s.Name, s.About)
		outcome, err := b.run(ctx, &s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		fmt.Print(outcome.markdown())
		results.Outcomes = append(results.Outcomes, outcome)
		if err := results.save(b.json, b.docs); err != nil {
			return err
		}
	}
	return nil
}

// adjust puts what the command line says into a scenario.
func (b *bench) adjust(s Scenario) Scenario {
	if b.conns > 0 {
		s.Conns = b.conns
	}
	if b.routes > 0 && s.Kind != "any" {
		s.Routes = b.routes
	}
	return s
}

func (b *bench) cleanUp() {
	if b.keep {
		log.Println("kept", b.dir)
		return
	}
	_ = os.RemoveAll(b.dir) // it is in the directory for temporary files
}
