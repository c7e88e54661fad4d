package network

import (
	"errors"
	"slices"
	"testing"

	"berth/internal/testnet"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func TestVLANIsMadeOnceAndTagsItsFrames(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	s := newSite(t)
	p, made, err := s.h.EnsureVLAN("eth1", 1318)
	if err != nil {
		t.Fatal(err)
	}
	if !made || p.Name != "eth1.1318" || p.VLAN != 1318 || p.TrunkIndex != s.parent.Index || !p.Up || p.MTU != 1500 || p.Kind != "vlan" {
		t.Errorf("made %v: %+v", made, p)
	}
	again, made, err := s.h.EnsureVLAN("eth1", 1318)
	if err != nil || made || again.Index != p.Index {
		t.Errorf("asked again: %+v, made %v, %v", again, made, err)
	}
	byName, err := s.h.Parent("eth1.1318")
	if err != nil || *byName != *p {
		t.Errorf("by name: %+v, %v; want %+v", byName, err, p)
	}
	l := s.macvlan("net1", mac(1))
	l.ParentIndex = p.Index
	s.createUp(t, s.n, l)
	testnet.Address(t, s.container, "net1", "192.0.2.10/24")
	// A host in the same VLAN answers, so frames leave with its tag: without a
	// tag the address could not be reached.
	far := &netlink.Vlan{
		LinkAttrs: netlink.LinkAttrs{Name: "tagged", ParentIndex: testnet.Link(t, s.lan, "port").Attrs().Index},
		VlanId:    1318, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q,
	}
	if err := testnet.Netlink(t, s.lan).LinkAdd(far); err != nil {
		t.Fatal(err)
	}
	testnet.Up(t, s.lan, "tagged")
	testnet.Address(t, s.lan, "tagged", "192.0.2.1/24")
	testnet.Run(t, s.container, "ping", "-c1", "-W5", "192.0.2.1")
	if err := s.h.DeleteLink(p.Index); err != nil {
		t.Error(err)
	}
	_, err = s.h.Parent("eth1.1318")
	wantIs(t, err, ErrNoLink)
}

// Neither a concurrent reader nor one after a kill may find a parent that is
// down.
func TestVLANIsNeverFoundDown(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	s := newSite(t)
	updates, done := make(chan netlink.LinkUpdate), make(chan struct{})
	defer close(done)
	at := netns.NsHandle(s.host.FD())
	if err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{Namespace: &at}); err != nil {
		t.Fatal(err)
	}
	p, _, err := s.h.EnsureVLAN("eth1", 100)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Up {
		t.Errorf("made %+v, want it up", p)
	}
	for u := range updates { // the kernel's first notification of it
		if u.Attrs().Name == "eth1.100" {
			if u.Header.Type != unix.RTM_NEWLINK || u.IfInfomsg.Flags&unix.IFF_UP == 0 {
				t.Errorf("told of as type %d with flags %#x, want it up", u.Header.Type, u.IfInfomsg.Flags)
			}
			return
		}
	}
}

func TestVLANUnderAnotherName(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	s := newSite(t)
	admins := addVLAN(t, s, "office", s.parent.Index, 100)
	if p, err := s.h.Parent("eth1.100"); err != nil || p.Name != "office" || p.VLAN != 100 {
		t.Errorf("by trunk and id: %+v, %v", p, err)
	}
	p, made, err := s.h.EnsureVLAN("eth1", 100)
	if err != nil || made || p.Index != admins {
		t.Errorf("ensured: %+v, made %v, %v", p, made, err)
	}
	if p, err := s.h.Parent("office"); err != nil || p.VLAN != 100 || p.TrunkIndex != s.parent.Index {
		t.Errorf("by its name: %+v, %v", p, err)
	}
}

func TestVLANOfAWrongName(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	s := newSite(t)
	addVLAN(t, s, "eth1.100", s.parent.Index, 200)
	_, err := s.h.Parent("eth1.100")
	wantIs(t, err, ErrVLAN)
	p, made, err := s.h.EnsureVLAN("eth1", 100)
	if err != nil || !made || p.VLAN != 100 || p.Name == "eth1.100" {
		t.Errorf("ensured beside the wrong name: %+v, made %v, %v", p, made, err)
	}
}

func TestVLANWithALongName(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	s := newSite(t)
	testnet.Veth(t, "enp130s0f0np0", s.host, "far", s.lan)
	p, made, err := s.h.EnsureVLAN("enp130s0f0np0", 1318)
	if err != nil || !made || len(p.Name) > 15 {
		t.Fatalf("made %v: %+v, %v", made, p, err)
	}
	if same, err := s.h.Parent("enp130s0f0np0.1318"); err != nil || same.Index != p.Index {
		t.Errorf("by the long name: %+v, %v", same, err)
	}
}

func TestVLANOfATrunkThatIsDown(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	s := newSite(t)
	if err := testnet.Netlink(t, s.host).LinkSetDown(testnet.Link(t, s.host, "eth1")); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.h.EnsureVLAN("eth1", 100)
	wantIs(t, err, ErrParentDown)
	wantLinks(t, s.h, "eth1", "lo")
}

func TestVLANRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for trunk, want := range map[string]error{"eth9": ErrNoLink, "lo": ErrNotEthernet} {
		_, _, err := s.h.EnsureVLAN(trunk, 100)
		wantIs(t, err, want)
	}
	for _, id := range []int{-1, 0, 4095} {
		if _, _, err := s.h.EnsureVLAN("eth1", id); err == nil {
			t.Errorf("made VLAN %d", id)
		}
	}
	if !testnet.Has(testnet.VLAN) {
		_, _, err := s.h.EnsureVLAN("eth1", 100)
		wantIs(t, err, errors.ErrUnsupported)
	}
	wantLinks(t, s.h, "eth1", "lo")
}

// The trunk of a VLAN may be a VLAN, under any name.
func TestVLANOfAVLAN(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	s := newSite(t)
	outer := addVLAN(t, s, "eth1.40", s.parent.Index, 40)
	testnet.Up(t, s.host, "eth1.40")
	p, id, err := s.h.ParentOrTrunk("eth1.40.41")
	if err != nil || p.Index != outer || id != 41 {
		t.Fatalf("found %+v, VLAN %d, %v; want 41 to be made on eth1.40", p, id, err)
	}
	inner, made, err := s.h.EnsureVLAN("eth1.40", 41)
	if err != nil || !made || inner.VLAN != 41 || inner.TrunkIndex != outer || inner.Name != "eth1.40.41" {
		t.Fatalf("made %v: %+v, %v", made, inner, err)
	}
	if on, err := s.h.VLANsOn(outer); err != nil || !slices.Equal(on, []string{"eth1.40.41"}) {
		t.Errorf("on eth1.40: %q, %v", on, err)
	}
	testnet.Run(t, s.host, "ip", "link", "set", "eth1.40", "down") // 6.1 does not rename a link that is up
	testnet.Run(t, s.host, "ip", "link", "set", "eth1.40", "name", "blue")
	testnet.Run(t, s.host, "ip", "link", "set", "eth1.40.41", "name", "green")
	if p, id, err := s.h.ParentOrTrunk("eth1.40.41"); err != nil || p.Index != inner.Index || id != 0 {
		t.Errorf("by ids: %+v, VLAN %d, %v", p, id, err)
	}
	if _, _, err := s.h.ParentOrTrunk("eth1.50.41"); !errors.Is(err, ErrNoLink) {
		t.Errorf("on a trunk that does not exist: %v, want ErrNoLink", err)
	}
}

// An 802.1ad sub-interface is not the 802.1Q VLAN of the same ID.
func TestServiceVLANIsAnInterfaceOfItsOwn(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	s := newSite(t)
	testnet.Run(t, s.host, "ip", "link", "add", "link", "eth1", "name", "eth1.100", "type", "vlan", "proto", "802.1ad", "id", "100")
	p, id, err := s.h.ParentOrTrunk("eth1.100")
	if err != nil || p.Name != "eth1.100" || p.VLAN != 0 || p.TrunkIndex != 0 || id != 0 {
		t.Errorf("802.1ad: %+v, VLAN %d, %v; want an interface that is no VLAN", p, id, err)
	}
	q, made, err := s.h.EnsureVLAN("eth1", 100)
	if err != nil || !made || q.VLAN != 100 || q.Index == p.Index {
		t.Errorf("802.1Q beside it: %+v, made %v, %v", q, made, err)
	}
}

func addVLAN(t *testing.T, s *site, name string, trunk, id int) int {
	t.Helper()
	l := &netlink.Vlan{
		LinkAttrs:    netlink.LinkAttrs{Name: name, ParentIndex: trunk},
		VlanId:       id,
		VlanProtocol: netlink.VLAN_PROTOCOL_8021Q,
	}
	if err := testnet.Netlink(t, s.host).LinkAdd(l); err != nil {
		t.Fatal(err)
	}
	return l.Index
}
