package network

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/specs"

	"github.com/vishvananda/netlink"
)

func TestParentFacts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	link := testnet.Link(t, s.host, "eth1").Attrs()
	want := Parent{
		Name: "eth1", Index: link.Index, MTU: 1500, MAC: specs.MAC(link.HardwareAddr),
		Up: true, Carrier: true, Kind: "veth",
	}
	if *s.parent != want {
		t.Errorf("parent %+v, want %+v", *s.parent, want)
	}
	wantIs(t, s.parent.CheckMTU(1501), ErrMTU)
	if err := s.parent.CheckMTU(1500); err != nil {
		t.Error(err)
	}
	if err := testnet.Netlink(t, s.host).LinkSetDown(testnet.Link(t, s.host, "eth1")); err != nil {
		t.Fatal(err)
	}
	if p, err := s.h.Parent("eth1"); err != nil || p.Up || p.Carrier {
		t.Errorf("parent that is down: %+v, %v", p, err)
	}
}

func TestWhatCanBeNoParent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	testnet.Run(t, s.host, "ip", "tuntap", "add", "tun0", "mode", "tun")
	mv := &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "mv0", ParentIndex: s.parent.Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
	if err := testnet.Netlink(t, s.host).LinkAdd(mv); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"lo": ErrNotEthernet, "tun0": ErrNotEthernet, "mv0": ErrStacked,
		"eth9": ErrNoLink, "eth9.100": ErrNoLink, "eth1.100": ErrNoLink, "a-trunk-with-a-long-name.100": ErrNoLink,
	} {
		_, err := s.h.Parent(name)
		wantIs(t, err, want)
	}
	if _, err := s.h.Parent("eth9"); err == nil || !strings.HasSuffix(err.Error(), "possible parents: eth1") {
		t.Errorf("error %v does not list the possible parents", err)
	}
}

// A name refers to the interface that has it, as its own or as an alternative one, even if it looks
// like a VLAN's.
func TestParentByAlternativeNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	long := strings.Repeat("long", 10)
	names := []string{"lan", "lan.100", "eth1.5", long, long + ".7"}
	for _, name := range names {
		testnet.Run(t, s.host, "ip", "link", "property", "add", "dev", "eth1", "altname", name)
	}
	for _, name := range names {
		p, id, err := s.h.ParentOrTrunk(name)
		if err != nil || *p != *s.parent || id != 0 {
			t.Errorf("%q: %+v, VLAN %d, %v; want eth1", name, p, id, err)
		}
		all, err := s.h.ParentNames(name)
		if err != nil || !slices.Contains(all.Names, "eth1") || !slices.Contains(all.Names, "lan.100") || all.Trunk != nil {
			t.Errorf("names of %q: %+v, %v", name, all, err)
		}
	}
	for _, name := range []string{"lan.7", long + ".8", "lan.100.7"} {
		p, id, err := s.h.ParentOrTrunk(name)
		if err != nil || *p != *s.parent || id != int(name[len(name)-1]-'0') {
			t.Errorf("%q: %+v, VLAN %d, %v; want a VLAN to make on eth1", name, p, id, err)
		}
	}
	if all, err := s.h.ParentNames("lan.7"); err != nil || !slices.Contains(all.Names, "eth1.7") || !slices.Contains(all.Trunk, "eth1") || all.VLAN != 7 {
		t.Errorf("names of a VLAN to make: %+v, %v", all, err)
	}
	links, err := s.h.Links()
	for _, l := range links {
		if l.Name == "eth1" && !slices.Equal(l.AltNames, names) {
			t.Errorf("alternative names %q, want %q", l.AltNames, names)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// A name with a dot need not be a VLAN.
func TestParentWithADotInItsName(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	testnet.Bridge(t, s.host, "eth1.5")
	if p, err := s.h.Parent("eth1.5"); err != nil || p.Kind != "bridge" || p.VLAN != 0 {
		t.Errorf("parent %+v, %v", p, err)
	}
}

func TestOccupants(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createUp(t, s.n, s.macvlan("net1", mac(1))) // in the container, so not seen
	mv := &netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "mv0", ParentIndex: s.parent.Index, HardwareAddr: []byte{2, 0, 0x5e, 0, 0x53, 9}},
		Mode:      netlink.MACVLAN_MODE_VEPA,
	}
	if err := testnet.Netlink(t, s.host).LinkAdd(mv); err != nil {
		t.Fatal(err)
	}
	got, err := s.h.Occupants(s.parent.Index)
	want := Occupant{Name: "mv0", Index: mv.Index, Driver: specs.Macvlan, Mode: specs.ModeVEPA, MAC: mac(9)}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("occupants %+v, %v; want %+v", got, err, want)
	}
	if got, err := s.h.Occupants(s.parent.Index + 1000); err != nil || len(got) != 0 {
		t.Errorf("occupants of another parent %+v, %v", got, err)
	}
}

func TestWirelessIsAskedOfTheRightSysfs(t *testing.T) {
	t.Parallel()
	sysfs := t.TempDir()
	for name, index := range map[string]string{"wlan0": "3\n", "eth0": "4\n"} {
		if err := os.MkdirAll(filepath.Join(sysfs, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sysfs, name, "ifindex"), []byte(index), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(sysfs, "wlan0", "phy80211"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		index int
		want  bool
	}{{"wlan0", 3, true}, {"wlan0", 5, false}, {"eth0", 4, false}, {"eth7", 7, false}} {
		if got := isWireless(sysfs, c.name, c.index); got != c.want {
			t.Errorf("%s with index %d: wireless %v, want %v", c.name, c.index, got, c.want)
		}
	}
}
