// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// session is a connection to a repository. Its methods are called in turn.
type session interface {
	// greeting gives what the server says first.
	greeting(ctx context.Context) (io.Reader, error)
	// send sends a message and gives the answer, which is read before the next
	// message; end says that none follows.
	send(ctx context.Context, m *message, end bool) (io.Reader, error)
	// close gives everything up.
	close()
}

// remote is a repository that has greeted.
type remote struct {
	s     session
	agent string
	in    *packets
	// version is 2, or 0 for servers that do not know it.
	version int
	// capabilities are those of the server: name to value.
	capabilities map[string]string
	// refs are the names that were told, peeled to commits where they are tags.
	refs map[string]oid
}

// connect reads the greeting, and of version 0 the names with it.
func connect(ctx context.Context, s session, agent string) (*remote, error) {
	stream, err := s.greeting(ctx)
	if err != nil {
		return nil, err
	}
	r := &remote{s: s, agent: agent, in: &packets{r: stream}, capabilities: map[string]string{}, refs: map[string]oid{}}
	first, m, err := r.in.line()
	if err != nil {
		return nil, noEOF(err)
	}
	if strings.HasPrefix(first, "# service=") {
		// HTTP names the service first, and ends that with a mark.
		if _, m, err = r.in.line(); err != nil || m != markFlush {
			return nil, errors.Join(errors.New("the server does not speak the protocol of git"), err)
		}
		if first, m, err = r.in.line(); err != nil {
			return nil, noEOF(err)
		}
	}
	if first == "version 2" {
		r.version = 2
		return r, r.readCapabilities()
	}
	return r, r.readRefs(first, m)
}

func (r *remote) readCapabilities() error {
	for {
		line, m, err := r.in.line()
		if err != nil {
			return noEOF(err)
		}
		if m != markData {
			break
		}
		name, value, _ := strings.Cut(line, "=")
		r.capabilities[name] = value
	}
	return r.checkFormat()
}

func (r *remote) checkFormat() error {
	if f := r.capabilities["object-format"]; f != "" && f != "sha1" {
		return fmt.Errorf("the repository names its objects by %s; only sha1 can be read", printable(f))
	}
	return nil
}

// maxRefs bounds the names that a server of version 0 tells, all there are.
const maxRefs = 1 << 20

// readRefs reads the names of version 0, whose first line has the capabilities.
func (r *remote) readRefs(line string, m mark) error {
	for n := 0; m == markData; n++ {
		if n > maxRefs {
			return errors.New("the repository has too many references")
		}
		ref, capabilities, first := strings.Cut(line, "\x00")
		if first {
			for c := range strings.FieldsSeq(capabilities) {
				name, value, _ := strings.Cut(c, "=")
				r.capabilities[name] = value
			}
		}
		if err := r.addRef(ref); err != nil {
			return err
		}
		var err error
		if line, m, err = r.in.line(); err != nil {
			return noEOF(err)
		}
	}
	return r.checkFormat()
}

// addRef takes OID NAME, where NAME^{} is what a tag points to.
func (r *remote) addRef(line string) error {
	if strings.HasPrefix(line, "shallow ") || line == "version 1" {
		return nil
	}
	hex, name, _ := strings.Cut(line, " ")
	id, ok := parseOID(hex)
	if !ok {
		return errors.New("the server does not speak the protocol of git")
	}
	name, _, _ = strings.Cut(name, " ")
	if name != "capabilities^{}" {
		r.refs[strings.TrimSuffix(name, "^{}")] = id
	}
	return nil
}

// candidates are the full names that a short one may mean, in order.
func candidates(name string) []string {
	if strings.HasPrefix(name, "refs/") {
		return []string{name}
	}
	return []string{"refs/heads/" + name, "refs/tags/" + name}
}

// resolve gives the commit of a branch, of a tag, or of its own name.
func (r *remote) resolve(ctx context.Context, name string) (oid, error) {
	if id, ok := parseOID(name); ok {
		return id, nil
	}
	full := candidates(name)
	if r.version == 2 {
		if err := r.listRefs(ctx, full); err != nil {
			return oid{}, err
		}
	}
	for _, f := range full {
		if id, ok := r.refs[f]; ok {
			return id, nil
		}
	}
	return oid{}, fmt.Errorf("the repository has neither a branch nor a tag %q; check the name", name)
}

func (r *remote) command(name string) *message {
	m := &message{}
	m.addf("command=%s", name)
	if _, ok := r.capabilities["agent"]; ok {
		m.addf("agent=%s", r.agent)
	}
	if _, ok := r.capabilities["object-format"]; ok {
		m.addf("object-format=sha1")
	}
	m.delim()
	return m
}

// listRefs asks a server of version 2 for some names.
func (r *remote) listRefs(ctx context.Context, names []string) error {
	m := r.command("ls-refs")
	m.addf("peel")
	for _, name := range names {
		m.addf("ref-prefix %s", name)
	}
	m.flush()
	stream, err := r.s.send(ctx, m, false)
	if err != nil {
		return err
	}
	r.in.r = stream
	for {
		line, m, err := r.in.line()
		if err != nil {
			return noEOF(err)
		}
		if m != markData {
			return nil
		}
		if err := r.addRef(line); err != nil {
			return err
		}
		fields := strings.Fields(line)
		for _, attribute := range fields[min(2, len(fields)):] {
			if hex, ok := strings.CutPrefix(attribute, "peeled:"); ok {
				if id, ok := parseOID(hex); ok {
					r.refs[fields[1]] = id
				}
			}
		}
	}
}

// filters tells whether the server can leave blobs out.
func (r *remote) filters() bool {
	return r.version == 2 && slices.Contains(strings.Fields(r.capabilities["fetch"]), "filter")
}

// fetch gets the commit, without those before it, its trees and, without filter,
// its blobs. With version 2 it can be called again for single blobs.
func (r *remote) fetch(ctx context.Context, wants []oid, shallow, withoutBlobs bool) (map[oid]object, error) {
	if r.version == 2 {
		return r.fetch2(ctx, wants, shallow, withoutBlobs)
	}
	return r.fetch0(ctx, wants)
}

func (r *remote) fetch2(ctx context.Context, wants []oid, shallow, withoutBlobs bool) (map[oid]object, error) {
	m := r.command("fetch")
	m.addf("no-progress")
	m.addf("ofs-delta")
	if shallow {
		m.addf("deepen 1")
	}
	if withoutBlobs {
		m.addf("filter blob:none")
	}
	for _, id := range wants {
		m.addf("want %s", id)
	}
	m.addf("done")
	m.flush()
	stream, err := r.s.send(ctx, m, false)
	if err != nil {
		return nil, err
	}
	r.in.r = stream
	for {
		line, m, err := r.in.line()
		if err != nil {
			return nil, noEOF(err)
		}
		if m == markFlush || m == markEnd {
			return nil, errors.New("the server has no pack for us")
		}
		if m == markData && line == "packfile" {
			return r.readPack(&sideband{p: r.in})
		}
	}
}

// fetch0 speaks version 0, where everything is one message.
func (r *remote) fetch0(ctx context.Context, wants []oid) (map[oid]object, error) {
	has := func(name string) bool { _, ok := r.capabilities[name]; return ok }
	var own []string
	for _, name := range []string{"multi_ack_detailed", "side-band-64k", "ofs-delta", "no-progress", "shallow"} {
		if has(name) {
			own = append(own, name)
		}
	}
	if has("agent") {
		own = append(own, "agent="+r.agent)
	}
	m := &message{}
	for i, id := range wants {
		if i == 0 {
			m.addf("want %s %s", id, strings.Join(own, " "))
		} else {
			m.addf("want %s", id)
		}
	}
	shallow := has("shallow")
	if shallow {
		m.addf("deepen 1")
	}
	m.flush()
	m.addf("done")
	stream, err := r.s.send(ctx, m, true)
	if err != nil {
		return nil, err
	}
	r.in.r = stream
	for inShallow := shallow; ; {
		line, m, err := r.in.line()
		switch {
		case err != nil:
			return nil, noEOF(err)
		case m == markFlush && inShallow:
			inShallow = false
		case m != markData:
			return nil, errors.New("the server has no pack for us")
		case line == "NAK" || strings.HasPrefix(line, "ACK ") && !strings.HasSuffix(line, " continue"):
			if has("side-band-64k") {
				return r.readPack(&sideband{p: r.in})
			}
			return r.readPack(stream)
		}
	}
}

// readPack reads the pack, and the rest of the answer after it.
func (r *remote) readPack(stream io.Reader) (map[oid]object, error) {
	objects, err := unpack(stream)
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(stream, 1<<20))
	}
	return objects, err
}

// close says good-bye as far as the protocol has one.
func (r *remote) close() { r.s.close() }
