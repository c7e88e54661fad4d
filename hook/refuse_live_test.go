package hook

import (
	"errors"
	"os"
	"strings"
	"testing"

	"berth/internal/plumb"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
)

const open = "[policy]\nparents = ['*']\nmodes = ['bridge', 'passthru']\nstatic_ips = true\nstatic_macs = true\n"

func TestRefusalsChangeNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("berth.toml", open)
	h.network("lan", lan)
	h.network("none", strings.Replace(lan, "PARENT", "nosuch0", 1))
	h.network("lo", strings.Replace(lan, "PARENT", "lo", 1))
	h.network("tiny", "parent = 'PARENT'\n[[subnet]]\nsubnet = '198.51.100.0/30'\ngateway = '198.51.100.1'\n")
	h.network("big", "parent = 'PARENT'\nmtu = 9000\n")
	h.network("thru", "parent = 'PARENT'\nmode = 'passthru'\n")
	h.mustStart(h.box("holder", `[{"name":"lan","ips":["192.0.2.9"],"mac":"02:00:5e:00:53:09"},{"name":"tiny"}]`))

	foreign := testnet.Unique("mv") // not berth's
	ipIn(t, testnet.Here(t), "link add "+foreign+" address 02:00:5e:00:53:08 link "+h.parent+" up type macvlan mode bridge")
	defer ipIn(t, testnet.Here(t), "link del "+foreign)

	for _, c := range []struct{ networks, want string }{
		{"none", `berth/networks[0]: parent "nosuch0" of network "none" does not exist; this host has `},
		{"lo", `berth/networks[0]: parent "lo" of network "lo" cannot carry interfaces: `},
		{"lan,nolan", `berth/networks[1] "nolan": there is no such network in`},
		{"big", `berth/networks[0].mtu "9000": the parent "`},
		{`[{"name":"lan","ips":["192.0.2.9"]}]`, `address 192.0.2.9 is in use by container holder (network "lan", interface net1)`},
		{`[{"name":"lan","mac":"02:00:5e:00:53:09"}]`, `MAC 02:00:5e:00:53:09 is in use by container holder`},
		{`[{"name":"lan","mac":"02:00:5e:00:53:08"}]`, `the MAC 02:00:5e:00:53:08 is in use on parent "` + h.parent + `" by interface "` + foreign + `" in the network namespace of process `},
		{"lan,tiny", `network "tiny": the only address of 198.51.100.0/30 is held, by holder (198.51.100.2)`},
		{"thru", `berth/networks[0]: parent "` + h.parent + `": interface "net1" of container "holder" (macvlan, mode bridge) is on it, and passthru takes a parent whole`},
		{"lan@lo2,lan@dup0", ``},
	} {
		b := h.box("b", c.networks)
		testnet.Run(t, b.ns, "ip", "link", "add", "dup0", "type", "veth", "peer", "name", "dup1")
		want := c.want
		if want == "" {
			want = `berth/networks[1]: the container has an interface "dup0" already`
		}
		before := h.snapshot(b)
		err := h.start(b)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error\n     %v\nwant %s", c.networks, err, want)
		}
		h.unchanged(b, before)
	}
}

func TestTheHostsNamespaceIsRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	a := h.box("a", "lan")
	a.process = testnet.Process(t, testnet.Here(t))
	err := h.start(a)
	if err == nil || !strings.Contains(err.Error(), `container "a" is in the host's network namespace`) {
		t.Errorf("error %v", err)
	}
	a.process = &os.Process{Pid: 1 << 22}
	if err := h.start(a); err == nil || !strings.Contains(err.Error(), "the process has ended") {
		t.Errorf("error of a pid that does not exist: %v", err)
	}
	a.process = &os.Process{}
	if err := h.start(a); err == nil || !strings.Contains(err.Error(), `state pid "0": want the pid`) {
		t.Errorf("error of pid 0: %v", err)
	}
	if got := h.records(); got != "" {
		t.Errorf("records:\n%s", got)
	}
}

func TestPassthruIsAlone(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	h.network("thru", "parent = 'PARENT'\nmode = 'passthru'\n")
	a := h.box("a", "thru")
	h.mustStart(a)
	r := h.firstOf("a")
	if link := testnet.Run(t, a.ns, "ip", "-d", "-o", "link", "show", "net1"); !strings.Contains(link, r.MAC.String()) || !strings.Contains(link, "mode passthru") {
		t.Errorf("link of %s: %s", r.MAC, link)
	}
	err := h.start(h.box("b", "lan"))
	if !errors.Is(err, network.ErrParentBusy) || !strings.Contains(err.Error(), `container "a" (macvlan, mode passthru) is on it, and passthru takes a parent whole`) {
		t.Errorf("error %v", err)
	}
	h.mustStop(a)
	h.mustStart(h.box("b2", "lan"))
}

func TestAnAddressThatTheLANHasIsNotUsed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("berth.toml", open)
	// The default of 100 ms is short for a machine under load.
	h.network("lan", strings.Replace(lan, "[[", "conflict_timeout = '2s'\n[[", 1))
	h.network("blind", strings.Replace(lan, "[[", "conflict_timeout = '0'\n[[", 1))
	for _, p := range []string{"192.0.2.2/24", "192.0.2.3/24"} {
		testnet.Address(t, h.lan, "wire", p)
	}
	mac := testnet.Link(t, h.lan, "wire").Attrs().HardwareAddr.String()

	a := h.box("a", "lan")
	h.mustStart(a)
	if got := h.firstOf("a").Addresses[0].String(); got != "192.0.2.4/24" {
		t.Errorf("address %s, want the next that is free on the LAN", got)
	}
	if got := h.records(); strings.Contains(got, "192.0.2.2 ") || strings.Contains(got, "192.0.2.3 ") {
		t.Errorf("the addresses of others are leased:\n%s", got)
	}
	b := h.box("b", `[{"name":"lan","ips":["192.0.2.3"]}]`)
	before := h.snapshot(b)
	err := h.start(b)
	if !errors.Is(err, plumb.ErrConflict) || !strings.Contains(err.Error(), "192.0.2.3 belongs to "+mac) {
		t.Errorf("error %v, want one that names %s", err, mac)
	}
	h.unchanged(b, before)
	c := h.box("c", "blind")
	h.mustStart(c)
	if got := h.firstOf("c").Addresses[0].String(); got != "192.0.2.2/24" {
		t.Errorf("address %s, want 192.0.2.2/24: conflict_timeout is 0", got)
	}
}

// A container whose counter slot is beyond the pinned maps, because max_endpoints
// was raised and the agent not restarted, still replaces an address.
func TestAConflictWithASlotBeyondTheMaps(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("berth.toml", "[agent]\nmax_endpoints = 1024\n")
	h.network("lan", lan)
	testnet.Address(t, h.lan, "wire", "192.0.2.2/24")
	slots := h.datapath().Maps().Slots()
	err := h.store.Update(t.Context(), func(tx *state.Tx) error {
		for {
			if slot, err := tx.ClaimSlot(1024); err != nil || slot+1 >= slots {
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	h.mustStart(h.box("a", "lan"))
	r := h.firstOf("a")
	if r.Slot < slots {
		t.Fatalf("slot %d of %d", r.Slot, slots)
	}
	if got := r.Addresses[0].String(); got != "192.0.2.3/24" {
		t.Errorf("address %s, want the next that is free on the LAN", got)
	}
}
