// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Package program builds the programs of the project, and runs them as processes
// that end in peace with the test which started them.
package program

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for what must come.
const Patience = 30 * time.Second

// module is the path of the project, so that tests in every folder can build it.
const module = "gateway.jkaninda.dev/goma"

// Build writes a program of the folder cmd into dir and gives its path. The arguments
// are more of those of go build.
func Build(dir, name string, args ...string) (path string, err error) {
	path = filepath.Join(dir, name)
	args = append([]string{"build", "-o", path}, args...)
	build := exec.Command("go", append(args, module+"/cmd/"+name)...) //nolint:noctx,gosec // ends by itself
	build.Stderr = os.Stderr
	if !slices.Contains(args, "-race") {
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
	}
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("building %s: %w", name, err)
	}
	return path, nil
}

// Main builds a program, tells its path, and gives the exit code of the tests; it is
// for TestMain.
func Main(m *testing.M, name string, binary *string, args ...string) (code int) {
	dir, err := os.MkdirTemp("", "goma-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	if *binary, err = Build(dir, name, args...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Output is what a process has written so far.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String implements fmt.Stringer.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Process is a program that runs.
type Process struct {
	// Out and Log are its output and its errors.
	Out, Log *Output

	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has, with err
	err   error
	// asked and once are for asking it to end, and for its end.
	asked, once sync.Once
}

// Start runs a command until the test ends; it must then end with 0 after a SIGTERM.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Out: &Output{}, Log: &Output{}, t: t, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.Out, p.Log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.End()
		if t.Failed() {
			t.Log(p)
		}
	})
	return p
}

// String gives all that the process has said.
func (p *Process) String() string { return p.Out.String() + p.Log.String() }

// Pid is the number of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Term asks the process to end, once: asked twice it ends at once.
func (p *Process) Term() {
	p.asked.Do(func() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }) // it may have ended
}

// End asks the process to end, unless it was ended before, and demands that it does so
// in peace.
func (p *Process) End() {
	p.t.Helper()
	p.once.Do(func() {
		p.Term()
		select {
		case <-p.ended:
			if p.err != nil {
				p.t.Errorf("after SIGTERM: %v\n%s", p.err, p)
			}
		case <-time.After(Patience):
			_ = p.cmd.Process.Signal(syscall.SIGQUIT) // it says where it stands
			select {
			case <-p.ended:
			case <-time.After(Patience):
				_ = p.cmd.Process.Kill()
				<-p.ended
			}
			p.t.Errorf("it does not end:\n%s", p)
		}
	})
}

// Kill ends the process as the loss of its machine would.
func (p *Process) Kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
}

// Until waits for something to become true while the process runs.
func (p *Process) Until(what string, is func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(Patience); !is(); {
		select {
		case <-p.ended:
			p.t.Fatalf("it has ended with %v before %s:\n%s", p.err, what, p)
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s does not come:\n%s", what, p)
		}
	}
}
