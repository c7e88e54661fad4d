package network

import (
	"errors"
	"net/netip"
	"testing"

	"berth/internal/testnet"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestKnowsLinkKinds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for kind, want := range map[string]bool{"veth": true, "macvlan": testnet.Has(testnet.Macvlan), "ipvlan": testnet.Has(testnet.IPvlan), "vlan": testnet.Has(testnet.VLAN), "nosuchkind": false} {
		if got, err := s.h.Knows(kind); err != nil || got != want {
			t.Errorf("%q: %t, %v; want %t", kind, got, err, want)
		}
	}
	if known, err := newInsideHandle(t, s.n).Knows("nosuchkind"); err != nil || known {
		t.Errorf("in a namespace with nothing but lo: %t, %v", known, err)
	}
}

func TestDevice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	look := func() Device {
		t.Helper()
		d, err := s.h.Device(s.parent.Index)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if got := look(); got != (Device{Driver: "veth"}) {
		t.Errorf("a veth: %+v", got)
	}
	for _, set := range []string{"promisc", "allmulticast"} {
		testnet.Run(t, s.host, "ip", "link", "set", "eth1", set, "on")
	}
	if got := look(); got != (Device{Driver: "veth", Promiscuity: 1, AllMulticast: true}) {
		t.Errorf("promiscuous: %+v", got)
	}
	_, err := s.h.Device(1 << 20)
	wantIs(t, err, ErrNoLink)
}

func TestAddressesIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	link := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	other := s.createUp(t, s.n, s.macvlan("net2", mac(2)))
	for _, a := range []string{"192.0.2.65/24", "2001:db8::41/64"} {
		if err := newInsideHandle(t, s.n).AddAddress(link.Index, netip.MustParsePrefix(a), true); err != nil {
			t.Fatal(err)
		}
	}
	if err := newInsideHandle(t, s.n).AddAddress(other.Index, netip.MustParsePrefix("198.51.100.1/24"), true); err != nil {
		t.Fatal(err)
	}
	id, err := s.h.AssignNSID(s.n)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.h.AddressesIn(id, link.Index)
	want := []AddressInfo{
		{Index: link.Index, Prefix: netip.MustParsePrefix("192.0.2.65/24"), Permanent: true},
		{Index: link.Index, Prefix: netip.MustParsePrefix("2001:db8::41/64"), Permanent: true},
	}
	linkLocal := cmpopts.IgnoreSliceElements(func(a AddressInfo) bool { return a.Prefix.Addr().IsLinkLocalUnicast() })
	if diff := cmp.Diff(want, got, linkLocal, cmpopts.EquateComparable(netip.Prefix{})); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	_, err = s.h.AddressesIn(id, 1<<20)
	wantIs(t, err, ErrNoLink)
	_, err = s.h.AddressesIn(1<<20, link.Index)
	wantIs(t, err, ErrNoNamespace)
}

// Duplicate address detection fails for an address that another host has.
func TestAddressesInReportsFailedDAD(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	link := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	testnet.Address(t, s.lan, "port", "2001:db8::41/64")
	id, err := s.h.AssignNSID(s.n)
	if err != nil {
		t.Fatal(err)
	}
	if err := newInsideHandle(t, s.n).AddAddress(link.Index, netip.MustParsePrefix("2001:db8::41/64"), false); err != nil {
		t.Fatal(err)
	}
	find := func() (AddressInfo, error) {
		all, err := s.h.AddressesIn(id, link.Index)
		for _, a := range all {
			if a.Prefix == netip.MustParsePrefix("2001:db8::41/64") {
				return a, err
			}
		}
		return AddressInfo{}, errors.Join(err, errors.New("no such address"))
	}
	if a, err := find(); err != nil || !a.Tentative {
		t.Errorf("at first: %+v, %v; want a tentative one", a, err)
	}
	testnet.Eventually(t, "the kernel notices the duplicate", func() bool {
		a, err := find()
		return err == nil && a.DADFailed
	})
}

func TestListOfRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	link := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	h := newInsideHandle(t, s.n)
	for _, a := range []string{"192.0.2.65/24", "2001:db8::41/64"} {
		if err := h.AddAddress(link.Index, netip.MustParsePrefix(a), true); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []Route{
		{Via: netip.MustParseAddr("192.0.2.1"), Metric: 7},
		{Via: netip.MustParseAddr("2001:db8::1")},
		{To: netip.MustParsePrefix("203.0.113.0/24")},
	} {
		if err := h.AddRoute(link.Index, r); err != nil {
			t.Fatal(err)
		}
	}
	testnet.Run(t, s.container, "ip", "route", "add", "198.51.100.0/24",
		"nexthop", "via", "192.0.2.2", "dev", "net1", "nexthop", "via", "192.0.2.3", "dev", "net1")
	got, err := h.Routes()
	if err != nil {
		t.Fatal(err)
	}
	i := link.Index
	want := []RouteInfo{
		{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.1"), Metric: 7, Index: i},
		{To: netip.MustParsePrefix("192.0.2.0/24"), Index: i},
		{To: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("192.0.2.2"), Index: i},
		{To: netip.MustParsePrefix("203.0.113.0/24"), Index: i},
		{To: netip.MustParsePrefix("2001:db8::/64"), Metric: 256, Index: i},
		{To: netip.MustParsePrefix("::/0"), Via: netip.MustParseAddr("2001:db8::1"), Metric: 1024, Index: i},
	}
	linkLocal := cmpopts.IgnoreSliceElements(func(r RouteInfo) bool { return r.To.Addr().IsLinkLocalUnicast() })
	sorted := cmpopts.SortSlices(func(a, b RouteInfo) bool { return a.To.String() < b.To.String() })
	equal := cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})
	if diff := cmp.Diff(want, got, linkLocal, sorted, equal); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
