package network

import (
	"net/netip"
	"strings"
	"testing"

	"berth/internal/testnet"

	"golang.org/x/sys/unix"
)

func addrs(all ...string) (out []netip.Addr) {
	for _, s := range all {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func byNameIn(t testing.TB, n *Namespace, name string) LinkInfo {
	t.Helper()
	l, err := newInsideHandle(t, n).LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// claimant adds addresses to a link and returns it as a Claimant.
func claimant(t testing.TB, n *Namespace, l LinkInfo, prefixes ...string) Claimant {
	t.Helper()
	c := Claimant{Index: l.Index, Name: l.Name, MAC: l.MAC}
	for _, s := range prefixes {
		p := netip.MustParsePrefix(s)
		if err := newInsideHandle(t, n).AddAddress(l.Index, p, true); err != nil {
			t.Fatal(err)
		}
		c.Addresses = append(c.Addresses, p.Addr())
	}
	return c
}

func TestAddressesAreAsGiven(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	info := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	h := newInsideHandle(t, s.n)
	want := map[string]uint32{ // IFA_F_*
		"192.0.2.10/24":    unix.IFA_F_PERMANENT,
		"198.51.100.10/31": unix.IFA_F_PERMANENT,
		"203.0.113.10/32":  unix.IFA_F_PERMANENT,
		"2001:db8::10/64":  unix.IFA_F_PERMANENT | unix.IFA_F_NODAD,
	}
	for p := range want {
		if err := h.AddAddress(info.Index, netip.MustParsePrefix(p), true); err != nil {
			t.Error(err)
		}
	}
	all, err := h.dumpAddresses()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		flags, ok := want[a.prefix.String()]
		if ok && (a.index != info.Index || a.flags != flags) {
			t.Errorf("%s on %d has flags %#x, want %#x on %d", a.prefix, a.index, a.flags, flags, info.Index)
		}
		delete(want, a.prefix.String())
	}
	if len(want) > 0 {
		t.Errorf("missing %v in %v", want, all)
	}
	out := testnet.Run(t, s.container, "ip", "-o", "-4", "addr", "show", "dev", "net1")
	for line, brd := range map[string]string{"192.0.2.10/24": "brd 192.0.2.255", "198.51.100.10/31": "scope", "203.0.113.10/32": "scope"} {
		if !strings.Contains(out, "inet "+line+" "+brd) {
			t.Errorf("no %q behind %q in\n%s", brd, line, out)
		}
	}
}

func TestAddressErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	info := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	h, p := newInsideHandle(t, s.n), netip.MustParsePrefix("192.0.2.10/24")
	if err := h.AddAddress(info.Index, p, true); err != nil {
		t.Fatal(err)
	}
	wantIs(t, h.AddAddress(info.Index, p, true), ErrExists)
	wantIs(t, h.AddAddress(9999, p, true), ErrNoLink)
}

func TestHostsAddresses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	testnet.Address(t, s.host, "eth1", "192.0.2.1/24")
	testnet.Address(t, s.host, "eth1", "2001:db8::1/64")
	all, err := s.h.Addresses()
	if err != nil {
		t.Fatal(err)
	}
	got := map[netip.Addr]bool{}
	for _, a := range all {
		got[a] = true
	}
	for _, a := range addrs("127.0.0.1", "::1", "192.0.2.1", "2001:db8::1") {
		if !got[a] {
			t.Errorf("%s is not among %v", a, all)
		}
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	info := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	claimant(t, s.n, info, "192.0.2.10/24", "2001:db8::10/64")
	h := newInsideHandle(t, s.n)
	if v4, v6, err := h.HasDefaultRoute(); err != nil || v4 || v6 {
		t.Errorf("default routes before: %v, %v, %v", v4, v6, err)
	}
	for want, r := range map[string]Route{
		"default via 192.0.2.1 dev net1 proto static":                             {Via: netip.MustParseAddr("192.0.2.1")},
		"default via 198.51.100.1 dev net1 proto static metric 50 onlink":         {Via: netip.MustParseAddr("198.51.100.1"), Metric: 50, OnLink: true},
		"203.0.113.0/24 via 192.0.2.2 dev net1 proto static metric 7":             {To: netip.MustParsePrefix("203.0.113.0/24"), Via: netip.MustParseAddr("192.0.2.2"), Metric: 7},
		"0.0.0.0/1 via 192.0.2.1 dev net1 proto static":                           {To: netip.MustParsePrefix("0.0.0.0/1"), Via: netip.MustParseAddr("192.0.2.1")},
		"128.0.0.0/1 via 192.0.2.1 dev net1 proto static":                         {To: netip.MustParsePrefix("128.0.0.0/1"), Via: netip.MustParseAddr("192.0.2.1")},
		"224.0.0.0/4 dev net1 proto static scope link":                            {To: netip.MustParsePrefix("224.0.0.0/4")},
		"240.0.0.0/4 via 192.0.2.1 dev net1 proto static":                         {To: netip.MustParsePrefix("240.0.0.0/4"), Via: netip.MustParseAddr("192.0.2.1")},
		"ff00::/8 dev net1 proto static metric 1024 pref medium":                  {To: netip.MustParsePrefix("ff00::/8")},
		"default via fe80::1 dev net1 proto static metric 9 onlink pref medium":   {Via: netip.MustParseAddr("fe80::1"), Metric: 9, OnLink: true},
		"198.51.100.0/24 dev net1 proto static scope link":                        {To: netip.MustParsePrefix("198.51.100.0/24")},
		"default via 2001:db8::1 dev net1 proto static metric 1024 pref medium":   {Via: netip.MustParseAddr("2001:db8::1")},
		"2001:db8:1::/48 dev net1 proto static metric 1024 pref medium":           {To: netip.MustParsePrefix("2001:db8:1::/48")},
		"2001:db8:2::/48 via 2001:db8::2 dev net1 proto static metric 9 pref med": {To: netip.MustParsePrefix("2001:db8:2::/48"), Via: netip.MustParseAddr("2001:db8::2"), Metric: 9},
	} {
		if err := h.AddRoute(info.Index, r); err != nil {
			t.Error(err)
		}
		out := testnet.Run(t, s.container, "ip", "route") + testnet.Run(t, s.container, "ip", "-6", "route")
		if !strings.Contains(out, want) {
			t.Errorf("no route %q in\n%s", want, out)
		}
	}
	if v4, v6, err := h.HasDefaultRoute(); err != nil || !v4 || !v6 {
		t.Errorf("default routes after: %v, %v, %v", v4, v6, err)
	}
}

func TestRouteErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	info := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	claimant(t, s.n, info, "192.0.2.10/24", "2001:db8::10/64")
	h, gateway := newInsideHandle(t, s.n), Route{Via: netip.MustParseAddr("192.0.2.1")}
	if err := h.AddRoute(info.Index, gateway); err != nil {
		t.Fatal(err)
	}
	wantIs(t, h.AddRoute(info.Index, gateway), ErrExists)
	wantIs(t, h.AddRoute(9999, Route{To: netip.MustParsePrefix("198.51.100.0/24")}), ErrNoLink)
	for _, via := range addrs("198.51.100.1", "2001:db8:1::1") {
		r := Route{To: netip.MustParsePrefix("203.0.113.0/24"), Via: via}
		if via.Is6() {
			r.To = netip.MustParsePrefix("2001:db8:9::/48")
		}
		wantIs(t, h.AddRoute(info.Index, r), ErrUnreachable)
	}
	if err := h.AddRoute(info.Index, Route{}); err == nil {
		t.Error("added a route to nowhere")
	}
}
