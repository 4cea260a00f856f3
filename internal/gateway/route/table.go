// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"maps"
	"slices"
	"strings"
)

// Table finds routes. The zero value has none.
type Table struct {
	// entries are all of them, in the order of the list they came from.
	entries []*Entry
	sites   map[hostPattern]*node
	// crowded are the places with more than one entry: only there can routes
	// be in conflict, and only there does the order of the list decide.
	crowded map[place]struct{}
	// ports counts the host patterns that name a port.
	ports int
}

// place is the end of a path of a host pattern.
type place struct {
	host hostPattern
	path string
}

// Conflict is a route that has the same match as one that comes before it.
type Conflict struct {
	// Winner serves, Loser does not.
	Winner, Loser *Entry
	// Host is the pattern for which it is so.
	Host string
	// Entirely says that the loser loses at every host it names.
	Entirely bool
	// Outranked says that the winner's priority is higher, so that age did not
	// have to decide.
	Outranked bool
}

// Build makes the table of the entries. What they share with prev, which may be
// nil, costs a comparison of pointers; prev stays as it is and good. An entry must
// not be twice in the list.
//
// Conflicts are all there are, in a fixed order. An entry that loses is still in
// the table, behind its winner.
func Build(prev *Table, entries []*Entry) (*Table, []Conflict) {
	if prev == nil {
		prev = &Table{}
	}
	t := &Table{entries: slices.Clone(entries), sites: prev.sites, crowded: prev.crowded, ports: prev.ports}
	removed, added := difference(prev.entries, entries)
	if len(removed)+len(added) > 0 {
		t.sites, t.crowded = maps.Clone(prev.sites), maps.Clone(prev.crowded)
		if t.sites == nil {
			t.sites, t.crowded = map[hostPattern]*node{}, map[place]struct{}{}
		}
	}
	b := &build{}
	for _, e := range removed {
		t.remove(b, e)
		t.ports -= e.ports()
	}
	for _, e := range added {
		t.insert(b, e)
		t.ports += e.ports()
	}
	return t, t.settle(b)
}

// Entries gives the entries in the order of their list. It must not be changed.
func (t *Table) Entries() []*Entry { return t.entries }

// NamesPorts tells whether any route names a port with its host. If so, a request
// without one is looked up with the port that its scheme implies.
func (t *Table) NamesPorts() bool { return t.ports > 0 }

// difference compares two lists without looking long at what they begin and end
// with in common.
func difference(old, now []*Entry) (removed, added []*Entry) {
	for len(old) > 0 && len(now) > 0 && old[0] == now[0] {
		old, now = old[1:], now[1:]
	}
	for len(old) > 0 && len(now) > 0 && old[len(old)-1] == now[len(now)-1] {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	kept := make(map[*Entry]bool, len(old))
	for _, e := range old {
		kept[e] = false
	}
	for _, e := range now {
		if _, ok := kept[e]; ok {
			kept[e] = true
			continue
		}
		added = append(added, e)
	}
	for _, e := range old {
		if !kept[e] {
			removed = append(removed, e)
		}
	}
	return removed, added
}

func (t *Table) remove(b *build, e *Entry) {
	t.editAll(b, e, func(list []*Entry) []*Entry {
		return slices.DeleteFunc(list, func(x *Entry) bool { return x == e })
	})
}

func (t *Table) insert(b *build, e *Entry) {
	t.editAll(b, e, func(list []*Entry) []*Entry {
		at, _ := slices.BinarySearchFunc(list, e, func(x, e *Entry) int {
			if compareAge(x, e) <= 0 {
				return -1
			}
			return 1
		})
		return slices.Insert(list, at, e)
	})
}

// editAll changes the entries at each place of e.
func (t *Table) editAll(b *build, e *Entry, change func([]*Entry) []*Entry) {
	path := strings.Join(e.path.segments, "/")
	for _, h := range e.hosts {
		root := b.edit(t.sites[h], e.path.segments, change)
		if root == nil {
			delete(t.sites, h)
			delete(t.crowded, place{h, path})
			continue
		}
		t.sites[h] = root
		if len(root.at(e.path.segments)) > 1 {
			t.crowded[place{h, path}] = struct{}{}
		} else {
			delete(t.crowded, place{h, path})
		}
	}
}

// settle brings the crowded places into the order of the list, which may have
// changed although no entry did, and finds the conflicts.
func (t *Table) settle(b *build) []Conflict {
	if len(t.crowded) == 0 {
		return nil
	}
	position := make(map[*Entry]int, len(t.entries))
	for i, e := range t.entries {
		position[e] = i
	}
	compare := func(a, b *Entry) int {
		if c := compareAge(a, b); c != 0 {
			return c
		}
		return position[a] - position[b]
	}
	var found []Conflict
	cloned := false
	for p := range t.crowded {
		list := t.sites[p.host].at(p.segments())
		if !slices.IsSortedFunc(list, compare) {
			if !cloned {
				t.sites, cloned = maps.Clone(t.sites), true
			}
			t.sites[p.host] = b.edit(t.sites[p.host], p.segments(), func(own []*Entry) []*Entry {
				slices.SortFunc(own, compare)
				return own
			})
			list = t.sites[p.host].at(p.segments())
		}
		found = append(found, conflictsAt(p.host, list)...)
	}
	return arrange(found, position)
}

func (p place) segments() []string {
	if p.path == "" {
		return nil
	}
	return strings.Split(p.path, "/")
}

// conflictsAt finds the entries of one place that admit the same methods as one
// before them.
func conflictsAt(host hostPattern, list []*Entry) []Conflict {
	var found []Conflict
	for i, loser := range list {
		for _, winner := range list[:i] {
			if !slices.Equal(winner.methods, loser.methods) {
				continue
			}
			found = append(found, Conflict{
				Winner: winner, Loser: loser, Host: host.String(), Outranked: winner.priority > loser.priority,
			})
			break
		}
	}
	return found
}

// arrange sorts the conflicts and tells which of them leave nothing of the loser.
func arrange(found []Conflict, position map[*Entry]int) []Conflict {
	lost := map[*Entry]int{}
	for _, c := range found {
		lost[c.Loser]++
	}
	for i := range found {
		found[i].Entirely = lost[found[i].Loser] == len(found[i].Loser.hosts)
	}
	slices.SortFunc(found, func(a, b Conflict) int {
		if a.Loser != b.Loser {
			return position[a.Loser] - position[b.Loser]
		}
		return strings.Compare(a.Host, b.Host)
	})
	return found
}
