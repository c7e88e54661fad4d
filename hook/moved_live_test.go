package hook

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"berth/bpf"
	"berth/internal/config"
	"berth/internal/hostshim"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
)

// moveAway moves an interface of the host to another namespace and back, so that
// it gets another index.
func (h *host) moveAway(name string) {
	h.Helper()
	home := testnet.Here(h.T)
	before := testnet.Link(h.T, home, name).Attrs().Index
	away := testnet.Namespace(h.T)
	testnet.Run(h.T, away, "ip", "link", "add", "taken", "index", fmt.Sprint(before), "type", "veth", "peer", "name", "other", "index", fmt.Sprint(before+100000))
	testnet.Run(h.T, home, "ip", "link", "set", name, "netns", away.Path())
	testnet.Run(h.T, away, "ip", "link", "set", name, "netns", home.Path())
	testnet.Up(h.T, home, name)
	if after := testnet.Link(h.T, home, name).Attrs().Index; after == before {
		h.Fatalf("%s still has index %d", name, before)
	}
}

// TestParentComesBack brings a parent, or the trunk of a VLAN, back with another
// index while a container runs on it. No agent runs, but its programs are pinned:
// the next container gets another address, and the first one's frames are counted
// in its slot.
func TestParentComesBack(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]string{"parent": "PARENT", "trunk": "PARENT.40"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "trunk" {
				testnet.Need(t, testnet.VLAN)
			}
			h := newHost(t)
			d := h.pinDatapath("auto")
			h.network("lan", strings.Replace(lan, "PARENT", on, 1))
			a, b := h.box("a", "lan"), h.box("b", "lan")
			h.mustStart(a)
			was := h.firstOf("a")
			h.moveAway(h.parent)
			if name == "trunk" {
				testnet.Up(t, testnet.Here(t), was.Parent)
			}
			testnet.Up(t, a.ns, "net1")
			h.mustStart(b)
			now, other := h.firstOf("a"), h.firstOf("b")
			if now.Addresses[0] == other.Addresses[0] || now.Domain() != other.Domain() || now.Slot != was.Slot {
				t.Errorf("a was %+v\nis %+v\nb is %+v", was, now, other)
			}
			h.countsAll(d, a, b)
			h.mustStop(a)
			h.mustStop(b)
			if _, err := h.releaserHere().Collect(t.Context(), 0); err != nil {
				t.Error(err)
			}
			if left := h.records(); left != "" {
				t.Errorf("left:\n%s", left)
			}
			if name == "trunk" && strings.Contains(testnet.Run(t, testnet.Here(t), "ip", "-o", "link"), was.Parent+"@") {
				t.Errorf("VLAN %s is left", was.Parent)
			}
		})
	}
}

// TestUnsettledComesBack kills a hook after each step, or interrupts a release, and brings the
// parent back with another index: the next container gets another address, even if its own
// hook is killed before it collects the first one's remains.
func TestUnsettledComesBack(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"create the interfaces", "add addresses", "announce", "commit", "leaving"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", lan)
			a, b := h.box("a", "lan"), h.box("b", "lan")
			if step == "leaving" {
				h.mustStart(a)
				h.markLeaving("a")
			} else {
				h.killAfterStep(a, step)
			}
			h.moveAway(h.parent)
			testnet.Up(t, a.ns, "net1")
			h.killAfterStep(b, "commit")
			first, second := h.firstOf("a"), h.firstOf("b")
			if first.Addresses[0] == second.Addresses[0] || first.Domain() != second.Domain() {
				t.Errorf("a is %+v\nb is %+v", first, second)
			}
			if _, err := h.releaserHere().Collect(t.Context(), 0); err != nil {
				t.Error(err)
			}
			h.mustStop(a)
			h.mustStop(b)
			if left := h.records(); left != "" {
				t.Errorf("left:\n%s", left)
			}
		})
	}
}

// TestUnnamedComesBack is about a hook that was killed before it set the alias of its link, and
// a parent that has another index since then: the next start, and a poststop, remove the link.
func TestUnnamedComesBack(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(*host, *box){
		"start":    func(h *host, a *box) { h.mustStart(a); h.mustStop(a) },
		"poststop": func(h *host, a *box) { h.mustStop(a) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", lan)
			a := h.box("a", "lan")
			h.killAfterStep(a, "create the interfaces")
			alt := h.firstOf("a").AltName()
			testnet.Run(t, a.ns, "ip", "link", "property", "del", "dev", "net1", "altname", alt)
			testnet.Run(t, a.ns, "ip", "link", "set", "dev", "net1", "alias", "")
			h.moveAway(h.parent)
			then(h, a)
			if links := testnet.Run(t, a.ns, "ip", "-o", "link"); strings.Contains(links, "net") {
				t.Errorf("left: %s", links)
			}
			if left := h.records(); left != "" {
				t.Errorf("left:\n%s", left)
			}
		})
	}
}

// markLeaving records an attachment as one whose release was interrupted.
func (h *host) markLeaving(id string) {
	h.Helper()
	one := h.firstOf(id)
	one.Leaving = true
	if err := h.store.Update(h.Context(), func(tx *state.Tx) error { return tx.Put(one) }); err != nil {
		h.Fatal(err)
	}
}

// TestShimComesBack brings the parent of a host shim back with another index: the host reaches
// a container that starts after that by the shim.
func TestShimComesBack(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("back", lan)
	n, err := config.Network(h.dirs.Config, "back")
	if err != nil {
		t.Fatal(err)
	}
	shims := hostshim.Shims{Store: h.store, Log: slog.New(slog.DiscardHandler)}
	made, err := shims.Enable(t.Context(), n, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.moveAway(h.parent)
	testnet.Up(t, testnet.Here(t), made.Interface)
	a := h.box("a", "back")
	h.mustStart(a)
	all, err := shims.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := h.firstOf("a").Addresses[0].Addr(); !slices.Contains(all[0].Routes, want) {
		t.Errorf("routes to %v, want one to %s", all[0].Routes, want)
	}
	h.mustStop(a)
	if _, err := shims.Disable(t.Context(), "back"); err != nil {
		t.Error(err)
	}
}

// TestShimTakesAnAddress makes a host shim after a parent came back and before the records of
// its containers are corrected, so that the shim gets a container's address. When the shim is
// gone, the address is the container's again, and nothing is left of it at the end.
func TestShimTakesAnAddress(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// a subnet of its own: the shims of other tests are interfaces of this namespace too
	h.network("taken", "conflict_timeout = \"0s\"\n"+strings.ReplaceAll(lan, "192.0.2.", "198.51.100."))
	n, err := config.Network(h.dirs.Config, "taken")
	if err != nil {
		t.Fatal(err)
	}
	shims := hostshim.Shims{Store: h.store, Log: slog.New(slog.DiscardHandler)}
	a, b, c := h.box("a", "taken"), h.box("b", "taken"), h.box("c", "taken")
	h.mustStart(a)
	h.moveAway(h.parent)
	made, err := shims.Enable(t.Context(), n, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.firstOf("a").Addresses[0]; got.Addr() != made.Addresses[0].Addr() {
		t.Fatalf("the shim has %s, not %s of the container", made.Addresses[0], got)
	}
	if n, err := h.releaserHere().Rehome(t.Context()); err != nil || n != 0 {
		t.Errorf("%d attachments moved to the shim's address, %v", n, err)
	}
	h.mustStart(b)
	if _, err := shims.Disable(t.Context(), "taken"); err != nil {
		t.Fatal(err)
	}
	h.mustStart(c)
	if first, third := h.firstOf("a"), h.firstOf("c"); first.Addresses[0] == third.Addresses[0] || first.Domain() != third.Domain() {
		t.Errorf("a is %+v\nc is %+v", first, third)
	}
	for _, one := range []*box{a, b, c} {
		h.mustStop(one)
	}
	if left := h.records(); left != "" {
		t.Errorf("left:\n%s", left)
	}
}

// TestParentMovesWhileAttaching moves the parent just before the commit: the hook starts again
// and leases the address in the new layer-2 domain.
func TestParentMovesWhileAttaching(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	a := h.box("a", "lan")
	moved := false
	h.step = func(step string) error {
		if step == "announce" && !moved {
			moved = true
			h.moveAway(h.parent)
		}
		return nil
	}
	h.mustStart(a)
	index := testnet.Link(t, testnet.Here(t), h.parent).Attrs().Index
	if got := h.firstOf("a"); got.ParentIndex != index {
		t.Errorf("recorded on index %d, want %d: %+v", got.ParentIndex, index, got)
	}
	h.step = nil
	h.mustStop(a)
}

// countsAll makes the containers send and checks that every frame is counted.
func (h *host) countsAll(d *bpf.Datapath, boxes ...*box) {
	h.Helper()
	for _, b := range boxes {
		slot := h.firstOf(b.id).Slot
		read := func() uint64 {
			c, err := d.Maps().Counters(slot)
			if err != nil {
				h.Fatal(err)
			}
			return c.Transmit.Total().Packets
		}
		sent := func() uint64 { return testnet.Link(h.T, b.ns, "net1").Attrs().Statistics.TxPackets }
		testnet.Eventually(h.T, b.id+" sends and is counted", func() bool {
			counted, before := read(), sent()
			_ = pingWithin(h.T, b.ns, "192.0.2.200", 2) // its ARP requests get no reply
			return sent() > before && read()-counted == sent()-before
		})
	}
}

// TestOtherParentsStay checks that the leases of an absent parent and of a
// renamed one stay.
func TestOtherParentsStay(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	a := h.box("a", "lan")
	h.mustStart(a)
	was := h.firstOf("a")
	away := testnet.Namespace(t)
	testnet.Run(t, testnet.Here(t), "ip", "link", "set", h.parent, "netns", away.Path())
	testnet.Veth(t, h.parent, testnet.Here(t), "wire2", h.lan) // another interface of the same name
	b := h.box("b", "lan")
	h.mustStart(b)
	now, other := h.firstOf("a"), h.firstOf("b")
	if now.Domain() != was.Domain() || other.Domain() == was.Domain() {
		t.Errorf("a was in %s, is in %s; b is in %s", was.Domain(), now.Domain(), other.Domain())
	}
	err := h.store.View(t.Context(), func(tx *state.Tx) error {
		held, err := lease.In(tx, was.Domain()).Holder(was.Addresses[0].Addr())
		if err == nil && (held == nil || held.Owner != was.Key()) {
			t.Errorf("the address of a is held by %+v", held)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
