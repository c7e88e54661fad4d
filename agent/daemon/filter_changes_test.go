package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"berth/network"
)

// TestChangesOfFiltersWakeAtOnce requires one wake for the changes of one moment, without a delay, and the
// next one not before the pause is over.
func TestChangesOfFiltersWakeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wakes []time.Duration
		began := time.Now()
		f := filterChanges{pause: filterPause, wake: func() { wakes = append(wakes, time.Since(began)) }}
		for range 3 {
			f.noteChange(network.Change{NSID: -1, Index: 4, Filters: true})
		}
		f.noteChange(network.Change{NSID: 7, Index: 4, Filters: true}) // of a container
		synctest.Wait()
		time.Sleep(filterPause / 4)
		f.noteChange(network.Change{NSID: -1, Index: 4, Filters: true})
		time.Sleep(10 * filterPause)
		f.noteChange(network.Change{NSID: -1, Index: 5, Filters: true})
		synctest.Wait()
		want := []time.Duration{0, filterPause, filterPause/4 + 10*filterPause}
		if len(wakes) != len(want) || wakes[0] != want[0] || wakes[1] != want[1] || wakes[2] != want[2] {
			t.Errorf("wakes after %v, want %v", wakes, want)
		}
	})
}

// TestFiltersOfContainersAreEndangered has the changes of filters of containers' interfaces, on a kernel
// without tcx.
func TestFiltersOfContainersAreEndangered(t *testing.T) {
	const egress, ingress, clsact, handle, own = 0xfffffff3, 0xfffffff2, 0xfffffff1, 0xbe27, 9
	type filter = network.FilterChange
	change := func(f filter) network.Change { return network.Change{NSID: 7, Index: 2, Filters: true, Filter: f} }
	gone := network.Change{NSID: 7, Index: 2, Left: true}
	deleted := func(parent uint32) network.Change {
		return change(filter{Deleted: true, Parent: parent, Handle: handle, Priority: 1, Kind: "bpf", Program: own})
	}
	put := func(parent, program uint32) network.Change {
		return change(filter{Parent: parent, Handle: handle, Priority: 1, Kind: "bpf", Program: program})
	}
	other := func(f filter) network.Change {
		f.Parent = egress
		return change(f)
	}
	for name, tt := range map[string]struct {
		changes         []network.Change
		egress, ingress bool
	}{
		"nothing":                      {},
		"deleted":                      {changes: []network.Change{deleted(egress)}, egress: true},
		"the other way":                {changes: []network.Change{deleted(ingress)}, ingress: true},
		"all of a priority":            {changes: []network.Change{other(filter{Deleted: true, Priority: 1, Kind: "bpf"})}, egress: true},
		"all of another kind":          {changes: []network.Change{other(filter{Deleted: true, Priority: 7, Kind: "u32"})}},
		"another":                      {changes: []network.Change{other(filter{Deleted: true, Handle: 1, Priority: 1, Kind: "bpf"})}},
		"the qdisc":                    {changes: []network.Change{change(filter{Deleted: true, Qdisc: true, Parent: clsact, Kind: "clsact"})}, egress: true, ingress: true},
		"another qdisc":                {changes: []network.Change{change(filter{Deleted: true, Qdisc: true, Parent: 0xffffffff, Kind: "pfifo"})}},
		"a new qdisc":                  {changes: []network.Change{change(filter{Qdisc: true, Parent: clsact, Kind: "clsact"})}},
		"attached":                     {changes: []network.Change{put(egress, own), put(ingress, own)}},
		"attached again":               {changes: []network.Change{deleted(egress), deleted(ingress), put(ingress, own)}, egress: true},
		"another program":              {changes: []network.Change{put(egress, own+1)}, egress: true},
		"another program, then berth":  {changes: []network.Change{put(egress, own+1), put(egress, own)}, egress: true},
		"one before":                   {changes: []network.Change{other(filter{Handle: 1, Priority: 1, Kind: "bpf", Program: own})}, egress: true},
		"one behind":                   {changes: []network.Change{other(filter{Handle: 1, Priority: 2, Kind: "bpf", Program: own})}},
		"in another chain":             {changes: []network.Change{other(filter{Handle: 1, Priority: 1, Chain: 4, Kind: "u32"})}},
		"the interface left":           {changes: []network.Change{gone}, egress: true, ingress: true},
		"another namespace has the ID": {changes: []network.Change{gone, {NSID: 7}}},
		"the namespace has ended":      {changes: []network.Change{gone, {NSID: 7, Ended: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := filterChanges{pause: filterPause, wake: func() {}, inside: true}
			mine := func(program uint32) bool { return program == own }
			f.own.Store(&mine)
			for _, c := range tt.changes {
				f.noteChange(c)
			}
			at := f.takeEndangered()[linkID{7, 2}]
			is := func(i int) bool { return at[i].removed || at[i].preceded }
			if is(0) != tt.egress || is(1) != tt.ingress {
				t.Errorf("%+v, want egress %t, ingress %t", at, tt.egress, tt.ingress)
			}
			if left := f.takeEndangered(); len(left) > 0 {
				t.Errorf("the second time %+v", left)
			}
		})
	}
	f := filterChanges{pause: filterPause, wake: func() { t.Error("a wake with tcx") }}
	f.noteChange(deleted(egress))
	f.noteChange(gone)
	if at := f.takeEndangered(); len(at) > 0 {
		t.Errorf("with tcx: %+v", at)
	}
}
