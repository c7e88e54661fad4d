package hook

import (
	"errors"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/network"
)

func TestMacvlanModes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"mode = 'bridge'\nbc_queue_len = 2000", "macvlan mode bridge bcqueuelen 2000"},
		{"mode = 'private'", "macvlan mode private"},
		{"mode = 'vepa'", "macvlan mode vepa"},
		{"mode = 'passthru'\nnopromisc = true", "macvlan mode passthru nopromisc"},
		{"mode = 'source'\nsource_macs = ['02:00:5e:00:53:02']", "remotes (1) 02:00:5e:00:53:02"},
		{"mtu = 1400", "mtu 1400"},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", "parent = 'PARENT'\n"+c.text+"\n[[subnet]]\nsubnet = '192.0.2.0/24'\n")
			a := h.box("a", "lan")
			before := h.snapshot(a)
			h.mustStart(a)
			requireContains(t, ipIn(t, a.ns, "-d -o link show net1"), c.want)
			h.mustStop(a)
			h.unchanged(a, before)
		})
	}
}

// reachesSibling reports whether two containers of a network can reach each other.
func (h *host) reachesSibling(networks string) bool {
	h.Helper()
	a, b := h.box("a-"+networks, networks), h.box("b-"+networks, networks)
	h.mustStart(a)
	h.mustStart(b)
	ip := h.firstOf(b.id).Addresses[0].Addr().String()
	return ping(h.T, a.ns, ip) == nil
}

func TestWhoReachesWhom(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]bool{"bridge": true, "private": false, "vepa": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", "parent = 'PARENT'\nconflict_timeout = '0'\nmode = '"+mode+"'\n[[subnet]]\nsubnet = '192.0.2.0/24'\n")
			if got := h.reachesSibling("lan"); got != want {
				t.Errorf("siblings reach each other: %v, want %v", got, want)
			}
		})
	}
}

func TestAParentWithoutEthernetIsRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tun := testnet.Unique("tun")
	ipIn(t, testnet.Here(t), "tuntap add mode tun "+tun)
	h.network("lan", strings.Replace(lan, "PARENT", tun, 1))
	err := h.start(h.box("a", "lan"))
	if err == nil || !strings.Contains(err.Error(), `berth/networks[0]: parent "`+tun+`" of network "lan" cannot carry interfaces: `) {
		t.Errorf("error %v", err)
	}
}

func TestVLANIsMadeOnDemandAndGoesWithItsLastUser(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	h := newHost(t)
	h.network("v100", strings.Replace(lan, "PARENT", "PARENT.100", 1))
	h.network("v200", strings.Replace(lan, "PARENT", "PARENT.200", 1))
	a, b, c := h.box("a", "v100"), h.box("b", "v100"), h.box("c", "v200")
	before := h.snapshot(a)
	for _, box := range []*box{a, b, c} {
		h.mustStart(box)
	}
	requireContains(t, ipIn(t, testnet.Here(t), "-d link show "+h.parent+".100"), "vlan protocol 802.1Q id 100", "UP,LOWER_UP")
	bIP, cIP := h.firstOf("b").Addresses[0].Addr().String(), h.firstOf("c").Addresses[0].Addr().String()
	if bIP == cIP && h.firstOf("a").Addresses[0].Addr().String() != cIP {
		t.Errorf("VLANs share a pool: %s", cIP)
	}
	if err := ping(t, a.ns, bIP); err != nil {
		t.Error(err)
	}
	ipIn(t, h.lan, "link add link wire name tagged type vlan id 100")
	testnet.Address(t, h.lan, "tagged", "192.0.2.1/24")
	testnet.Up(t, h.lan, "tagged")
	if err := ping(t, a.ns, "192.0.2.1"); err != nil {
		t.Error(err)
	}
	if err := pingWithin(t, c.ns, "192.0.2.1", 2); err == nil {
		t.Error("VLAN 200 reaches VLAN 100")
	}
	h.mustStop(a)
	requireContains(t, ipIn(t, testnet.Here(t), "-o link"), h.parent+".100@")
	h.mustStop(b)
	h.mustStop(c)
	h.unchanged(a, before)
}

func TestAVLANOfTheAdministratorsStays(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	h := newHost(t)
	ipIn(t, testnet.Here(t), "link add link "+h.parent+" name "+h.parent+"v type vlan id 7")
	ipIn(t, testnet.Here(t), "link set "+h.parent+"v up")
	h.network("v7", strings.Replace(lan, "PARENT", "PARENT.7", 1))
	a := h.box("a", "v7")
	before := h.snapshot(a)
	h.mustStart(a)
	if got := h.firstOf("a"); got.Parent != h.parent+"v" || got.VLAN != 7 {
		t.Errorf("parent %s, VLAN %d", got.Parent, got.VLAN)
	}
	h.mustStop(a)
	h.unchanged(a, before)
}

// TestAVLANMadeMeanwhileStays lets an administrator make the VLAN after the hook has found
// none: it is not berth's, and stays.
func TestAVLANMadeMeanwhileStays(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	h := newHost(t)
	h.network("v7", strings.Replace(lan, "PARENT", "PARENT.7", 1))
	a := h.box("a", "v7")
	name := h.parent + "v"
	h.step = func(step string) error {
		if step == "claim" {
			ipIn(t, testnet.Here(t), "link add link "+h.parent+" name "+name+" type vlan id 7")
			ipIn(t, testnet.Here(t), "link set "+name+" up")
		}
		return nil
	}
	h.mustStart(a)
	h.step = nil
	if got := h.firstOf("a"); got.Parent != name || got.VLAN != 7 {
		t.Errorf("parent %s, VLAN %d", got.Parent, got.VLAN)
	}
	h.mustStop(a)
	testnet.Link(t, testnet.Here(t), name)
}

func TestIPvlanModes(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	for _, c := range []struct{ text, want string }{
		{"mode = 'l2'", "ipvlan mode l2 bridge"},
		{"mode = 'l3'", "ipvlan mode l3 bridge"},
		{"mode = 'l3s'\nipvlan_flag = 'private'", "ipvlan mode l3s private"},
		{"mode = 'l2'\nipvlan_flag = 'vepa'", "ipvlan mode l2 vepa"},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", "driver = 'ipvlan'\nparent = 'PARENT'\n"+c.text+"\n[[subnet]]\nsubnet = '192.0.2.0/24'\n[[subnet]]\nsubnet = '2001:db8::/64'\n")
			a := h.box("a", "lan")
			before := h.snapshot(a)
			h.mustStart(a)
			requireContains(t, strings.Join(strings.Fields(ipIn(t, a.ns, "-d -o link show net1")), " "), c.want)
			if strings.Contains(c.want, "bridge") {
				b := h.box("b", "lan")
				h.mustStart(b)
				if err := ping(t, a.ns, h.firstOf("b").Addresses[0].Addr().String()); err != nil {
					t.Error(err)
				}
				h.mustStop(b)
			}
			h.mustStop(a)
			h.unchanged(a, before)
		})
	}
}

func TestMacvlanAndIPvlanDoNotMix(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	h.network("ip", "driver = 'ipvlan'\nparent = 'PARENT'\n[[subnet]]\nsubnet = '198.51.100.0/24'\n")
	a := h.box("a", "lan")
	h.mustStart(a)
	b := h.box("b", "ip")
	before := h.snapshot(b)
	err := h.start(b)
	if !errors.Is(err, network.ErrParentBusy) || !strings.Contains(err.Error(), `container "a" (macvlan, mode bridge) is on it, and a parent carries macvlan or ipvlan, not both`) {
		t.Errorf("error %v", err)
	}
	h.unchanged(b, before)
}

func TestIPvlanInterfacesOfAParentShareTheirMode(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	h := newHost(t)
	for name, mode := range map[string]string{"l2": "mode = 'l2'", "l3": "mode = 'l3'", "alone": "mode = 'l2'\nipvlan_flag = 'private'"} {
		h.network(name, "driver = 'ipvlan'\nparent = 'PARENT'\n"+mode+"\n")
	}
	h.mustStart(h.box("a", "l2"))
	h.mustStart(h.box("b", "l2"))
	for _, name := range []string{"l3", "alone"} {
		if err := h.start(h.box("c", name)); !errors.Is(err, network.ErrParentBusy) || !strings.Contains(err.Error(), "all ipvlan interfaces of a parent have one mode and flag") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	other := newHost(t)
	other.network("l3", "driver = 'ipvlan'\nparent = 'PARENT'\nmode = 'l3'\n")
	ipIn(t, testnet.Here(t), "link add link "+other.parent+" name "+testnet.Unique("ipv")+" type ipvlan mode l2")
	if err := other.start(other.box("d", "l3")); err == nil || !strings.Contains(err.Error(), "all ipvlan interfaces of a parent have one mode and flag") {
		t.Errorf("error beside an interface that is not berth's: %v", err)
	}
}
