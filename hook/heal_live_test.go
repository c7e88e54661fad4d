package hook

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// removeParent removes the parent, as the end of its driver does.
func (h *host) removeParent() {
	h.Helper()
	testnet.Run(h.T, testnet.Here(h.T), "ip", "link", "delete", h.parent)
}

// returnParent makes the parent again: under the same name, with another index and MAC.
func (h *host) returnParent() {
	h.Helper()
	testnet.Veth(h.T, h.parent, testnet.Here(h.T), "wire", h.lan)
}

// startOnLAN starts container a on the network lan, and returns it with its record and routes.
func (h *host) startOnLAN() (a *box, before *state.Attachment, routes string) {
	h.Helper()
	return h.startOn(lan)
}

// startOn is startOnLAN with another network file.
func (h *host) startOn(file string) (a *box, before *state.Attachment, routes string) {
	h.Helper()
	h.network("lan", file)
	a = h.box("a", "lan")
	h.mustStart(a)
	return a, h.firstOf("a"), testnet.Run(h.T, a.ns, "ip", "route")
}

// heal heals and returns the keys of the interfaces that were made again.
func (h *host) heal() (healed []string) {
	h.Helper()
	all, err := h.hook().Heal(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	for _, a := range all {
		healed = append(healed, a.Containers[0])
	}
	return healed
}

// TestHeal removes a parent, or a VLAN of it, and makes it again. The interfaces of living
// containers come back with their names, addresses, routes, settings and counter slots, and
// those of an ended container do not.
func TestHeal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, vlan string
		needs      []testnet.Feature
	}{
		"macvlan": {text: lan + "ip_range = '192.0.2.64/26'\n[[subnet]]\nsubnet = '2001:db8::/64'\ngateway = '2001:db8::1'\n[sysctls]\n'net.ipv4.conf.IFNAME.arp_ignore' = 1\n"},
		"ipvlan":  {text: "driver = 'ipvlan'\n" + lan + "ip_range = '192.0.2.64/26'\n", needs: []testnet.Feature{testnet.IPvlan}},
		"VLAN":    {text: strings.Replace(lan, "PARENT", "PARENT.40", 1) + "ip_range = '192.0.2.64/26'\n", vlan: ".40", needs: []testnet.Feature{testnet.VLAN}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testnet.Need(t, c.needs...)
			h := newHost(t)
			d := h.pinDatapath("auto")
			h.network("lan", c.text)
			a, b, ended := h.box("a", "lan"), h.box("b", "lan"), h.box("ended", "lan")
			boxes := []*box{a, b, ended}
			for _, each := range boxes {
				h.mustStart(each)
			}
			h.countsAll(d, a, b)
			before, wasRoutes := h.firstOf("a"), testnet.Run(t, a.ns, "ip", "route")+testnet.Run(t, a.ns, "ip", "-6", "route", "show", "default")
			h.removeParent()
			h.collectNothing()
			if healed := h.heal(); healed != nil {
				t.Errorf("healed %v without a parent", healed)
			}
			h.mustStop(ended)
			h.returnParent()
			h.collectNothing()
			healed := h.heal()
			if slices.Sort(healed); !slices.Equal(healed, []string{"a", "b"}) {
				t.Errorf("healed %v", healed)
			}
			h.expectHealed(a, before, wasRoutes)
			h.countsAll(d, a, b)
			if again := h.heal(); again != nil {
				t.Errorf("healed %v once more", again)
			}
			h.mustStop(a)
			h.mustStop(b)
			h.collectNothing()
			if left := h.records(); left != "" {
				t.Errorf("left:\n%s", left)
			}
			if links := testnet.Run(t, testnet.Here(t), "ip", "-o", "link"); c.vlan != "" && strings.Contains(links, h.parent+c.vlan+"@") {
				t.Errorf("the VLAN is left: %s", links)
			}
		})
	}
}

// collectNothing requires that a collection releases nothing.
func (h *host) collectNothing() {
	h.Helper()
	done, err := h.releaserHere().Collect(h.Context(), time.Minute)
	if err != nil || len(done.Released) > 0 {
		h.Fatalf("collected %v, error %v", done.Released, err)
	}
}

// expectHealed compares a container's interface with that before its parent vanished.
func (h *host) expectHealed(b *box, before *state.Attachment, routes string) {
	h.Helper()
	now := h.firstOf(b.id)
	same := now.Key() == before.Key() && now.Created.Equal(before.Created) && now.Slot == before.Slot && now.Interface == before.Interface &&
		slices.Equal(now.Addresses, before.Addresses) && slices.Equal(now.Gateways, before.Gateways)
	if !same || now.Lost || now.Healed.IsZero() || now.ParentIndex == before.ParentIndex {
		h.Errorf("the record was %+v\nand is %+v", before, now)
	}
	if now.Driver == specs.Macvlan && now.MAC != before.MAC {
		h.Errorf("MAC %s, before %s", now.MAC, before.MAC)
	}
	testnet.Eventually(h.T, "the addresses and routes are back", func() bool {
		got := testnet.Run(h.T, b.ns, "ip", "route") + testnet.Run(h.T, b.ns, "ip", "-6", "route", "show", "default")
		text := testnet.Run(h.T, b.ns, "ip", "-o", "addr", "show", "dev", now.Interface)
		return got == routes && !slices.ContainsFunc(now.Addresses, func(p netip.Prefix) bool { return !strings.Contains(text, " "+p.String()+" ") })
	})
	if len(now.Addresses) > 1 && strings.TrimSpace(testnet.Run(h.T, b.ns, "cat", "/proc/sys/net/ipv4/conf/net1/arp_ignore")) != "1" {
		h.Error("the sysctl is not set")
	}
	if err := h.store.View(h.Context(), func(tx *state.Tx) error {
		holder, err := lease.In(tx, now.Domain()).Holder(now.Addresses[0].Addr())
		if err != nil || holder == nil || holder.Owner != now.Key() {
			h.Errorf("the lease of %s is %+v, error %v", now.Addresses[0], holder, err)
		}
		return nil
	}); err != nil {
		h.Fatal(err)
	}
}

// TestHealKilled kills a healer after each of its steps. The next one continues.
func TestHealKilled(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"move the leases", "create the interfaces", "register", "set them up", "add addresses", "add routes", "commit"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			d := h.pinDatapath("auto")
			a, before, routes := h.startOn("enforce = ['mac-spoof']\n" + lan)
			h.removeParent()
			h.returnParent()
			h.killHealAfter(step)
			h.collectNothing()
			h.wantPrograms(d) // the agent reports none as missing that the healer attaches
			h.heal()
			h.expectHealed(a, before, routes)
			h.wantPrograms(d)
			h.countsAll(d, a)
		})
	}
}

// TestHealUnnamedLink: a healer that was killed before it set the alias of the interface left
// one that has only the name and MAC of the record.
func TestHealUnnamedLink(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	a, before, routes := h.startOnLAN()
	h.removeParent()
	h.returnParent()
	h.killHealAfter("move the leases")
	testnet.Run(t, testnet.Here(t), "ip", "link", "add", "net1", "link", h.parent, "netns", a.ns.Path(),
		"address", before.MAC.String(), "type", "macvlan", "mode", "bridge")
	h.heal()
	h.expectHealed(a, before, routes)
}

// TestHealEndedHalfMade: a container that ends after a healer was killed keeps its counts, because
// it was attached before.
func TestHealEndedHalfMade(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	d := h.pinDatapath("auto")
	a, before, _ := h.startOnLAN()
	h.countsAll(d, a)
	h.removeParent()
	h.returnParent()
	h.killHealAfter("move the leases")
	h.mustStop(a)
	if _, err := h.releaserHere().Collect(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	err := h.store.View(t.Context(), func(tx *state.Tx) error {
		ended, err := tx.Current(before)
		if err == nil && (ended.Final == nil || ended.Final.Transmit.Total().Packets == 0) {
			t.Errorf("the final counts are %+v", ended.Final)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// killHealAfter heals in another process, which kills itself by SIGKILL after a step.
func (h *host) killHealAfter(step string) {
	h.Helper()
	testnet.RequireKilled(h, h.program(step, "heal"))
}

// TestHealFails: an address that another machine took meanwhile fails the attempt, and
// leaves the record and no interface. The next attempt succeeds when that machine is gone.
func TestHealFails(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	a, before, routes := h.startOnLAN()
	h.removeParent()
	h.returnParent()
	testnet.Address(t, h.lan, "wire", before.Addresses[0].String())
	if _, err := h.hook().Heal(t.Context()); err == nil || !strings.Contains(err.Error(), before.Addresses[0].Addr().String()) {
		t.Errorf("error %v", err)
	}
	if links := testnet.Run(t, a.ns, "ip", "-o", "link"); strings.Contains(links, "net1") {
		t.Errorf("left: %s", links)
	}
	h.collectNothing()
	testnet.Run(t, h.lan, "ip", "addr", "delete", before.Addresses[0].String(), "dev", "wire")
	h.heal()
	h.expectHealed(a, before, routes)
}

// TestHealAfterMove removes a parent that another namespace had given back just before, while the
// record still has its index of then, and another link has that index now.
func TestHealAfterMove(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	a, before, routes := h.startOnLAN()
	h.moveAway(h.parent)
	taken, home := fmt.Sprint("taken", before.ParentIndex), testnet.Here(t)
	testnet.Run(t, home, "ip", "link", "add", taken, "index", fmt.Sprint(before.ParentIndex), "type", "bridge")
	defer testnet.Run(t, home, "ip", "link", "delete", taken)
	h.removeParent()
	h.collectNothing()
	h.returnParent()
	h.collectNothing()
	if healed := h.heal(); !slices.Equal(healed, []string{"a"}) {
		t.Errorf("healed %v", healed)
	}
	h.expectHealed(a, before, routes)
}

// TestNotHealed: with heal = false, or after the container's own deletion of its interface, the
// record is released.
func TestNotHealed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string
		vanish func(h *host, b *box)
	}{
		"heal = false": {"heal = false\n" + lan, func(h *host, _ *box) { h.removeParent(); h.returnParent() }},
		"deleted":      {lan, func(h *host, b *box) { testnet.Run(h.T, b.ns, "ip", "link", "delete", "net1") }},
		"namespace ended": {lan, func(h *host, b *box) {
			h.removeParent()
			h.returnParent()
			b.endProcess(h.T)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", c.text)
			a := h.box("a", "lan")
			h.mustStart(a)
			c.vanish(h, a)
			if healed := h.heal(); healed != nil {
				t.Errorf("healed %v", healed)
			}
			testnet.Eventually(t, "the record is released", func() bool {
				if _, err := h.releaserHere().Collect(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				return len(h.attachments("a")) == 0
			})
		})
	}
}

// TestHealMark requires that Heal removes the mark for which it is started, also without work.
func TestHealMark(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if err := h.store.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := h.store.MarkHeal(); err != nil {
		t.Fatal(err)
	}
	h.heal()
	if list := testnet.Run(t, testnet.Here(t), "ls", h.store.Dir()); strings.Contains(list, "heal") {
		t.Error(fmt.Sprint("the mark is left: ", list))
	}
}
