package states

import (
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"berth/internal/lease"
	"berth/internal/state"
)

// writeNetwork writes the file of a network with further keys, in one step.
func (w *world) writeNetwork(name, keys string) {
	w.Helper()
	fresh := w.dirs.Config + "/fresh"
	must(w.T, os.WriteFile(fresh, []byte(keys+networkFiles[name]), 0o644))
	must(w.T, os.Rename(fresh, w.dirs.Config+"/networks.d/"+name+".toml"))
}

// networkActs switches enforcement on or off, or restarts a container of the sticky network, in some
// rounds.
func (w *world) networkActs(round int) {
	switch {
	case round%6 == 5:
		keys := []string{"", "enforce = ['mac-spoof', 'ip-spoof']\n"}[w.rand.IntN(2)]
		w.note("the network lan has %q", keys)
		w.writeNetwork("lan", keys)
	case round%4 == 3:
		w.restartSticky()
	}
}

// restartSticky stops a container of the sticky network and starts it again. It gets its address and
// its MAC again, unless another container has taken the address.
func (w *world) restartSticky() {
	for _, id := range slices.Sorted(maps.Keys(w.boxes)) {
		b := w.boxes[id]
		before := w.recordOn(id, stickyNetwork)
		if b.dead || b.byDoor || len(b.maybe)+len(b.sharers) > 0 || !b.on[stickyNetwork] || before == nil {
			continue
		}
		networks := strings.Join(slices.Sorted(maps.Keys(b.on)), ",")
		w.stopBox(b, 0)
		w.report("gc", w.execute(0, nil, "gc"))
		free := !w.isLeased(before.Addresses[0].Addr())
		again := w.newBox(id)
		w.startBox(again, id, networks, 0)
		now := w.recordOn(id, stickyNetwork)
		if now == nil || now.Interface != before.Interface || !free {
			return // the pool had no address, or the interface has another name
		}
		if now.Addresses[0] != before.Addresses[0] || now.MAC != before.MAC {
			w.Errorf("container %s had %s %s, and has %s %s after a restart", id, before.MAC, before.Addresses[0], now.MAC,
				now.Addresses[0])
		}
		return
	}
}

// recordOn returns the live record of a container on a network, or nil.
func (w *world) recordOn(id, name string) *state.Attachment {
	w.Helper()
	for _, r := range w.records() {
		if r.Network == name && slices.Contains(r.Containers, id) {
			return r
		}
	}
	return nil
}

// isLeased reports whether an address is leased.
func (w *world) isLeased(a netip.Addr) (leased bool) {
	w.Helper()
	must(w.T, w.store.View(w.Context(), func(tx *state.Tx) error {
		for l, err := range lease.All(tx) {
			if err != nil {
				return err
			}
			leased = leased || l.Addr == a
		}
		return nil
	}))
	return leased
}
