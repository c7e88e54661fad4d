package network

import (
	"errors"
	"os"
	"strings"
	"testing"

	"berth/specs"
)

func TestIPv6Settings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set  IPv6Settings
		want map[string]string
	}{
		"off":        {IPv6Settings{Mode: specs.IPv6Off}, map[string]string{"disable_ipv6": "1"}},
		"link-local": {IPv6Settings{Mode: specs.IPv6LinkLocal}, map[string]string{"disable_ipv6": "0", "accept_ra": "0", "autoconf": "0"}},
		"static":     {IPv6Settings{Mode: specs.IPv6Off, Static: true}, map[string]string{"disable_ipv6": "0", "accept_ra": "0", "autoconf": "0"}},
		"slaac":      {IPv6Settings{Mode: specs.IPv6SLAAC}, map[string]string{"disable_ipv6": "0", "accept_ra": "2", "autoconf": "1", "accept_ra_defrtr": "1"}},
		"dhcp": {IPv6Settings{Mode: specs.IPv6DHCP}, map[string]string{"disable_ipv6": "0", "accept_ra": "2", "autoconf": "1",
			"optimistic_dad": "1"}},
		"slaac without a default route": {IPv6Settings{Mode: specs.IPv6SLAAC, NoDefaultRoute: true},
			map[string]string{"disable_ipv6": "0", "accept_ra": "2", "autoconf": "1", "accept_ra_defrtr": "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			setSysctl(t, s.n, "ipv6/conf/default/disable_ipv6", "1") // as docker does
			info, err := s.h.CreateLink(s.n, s.macvlan("net1", mac(1)))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.n.SetIPv6("net1", c.set); err != nil {
				t.Fatal(err)
			}
			for key, want := range c.want {
				if got := readSysctl(t, s.n, "ipv6/conf/net1/"+key); got != want {
					t.Errorf("%s is %s, want %s", key, got, want)
				}
			}
			if err := newInsideHandle(t, s.n).SetUp(info.Index); err != nil {
				t.Fatal(err)
			}
			wantLinkLocal(t, s.n, info.Index, c.want["disable_ipv6"] == "0")
		})
	}
}

func wantLinkLocal(t *testing.T, n *Namespace, index int, want bool) {
	t.Helper()
	all, err := newInsideHandle(t, n).dumpAddresses()
	if err != nil {
		t.Fatal(err)
	}
	got := false
	for _, a := range all {
		got = got || a.index == index && a.prefix.Addr().Is6()
	}
	if got != want {
		t.Errorf("addresses %+v; want a link-local one: %v", all, want)
	}
}

func TestIPv6OfNoLink(t *testing.T) {
	t.Parallel()
	_, n := newContainer(t)
	wantIs(t, n.SetIPv6("net1", IPv6Settings{Mode: specs.IPv6Off}), ErrNoLink)
	if err := n.SetIPv6("../conf/all", IPv6Settings{Mode: specs.IPv6Off}); err == nil {
		t.Error("a name became a path")
	}
}

// TestIPv6BelowItsLeastMTU checks that an interface with an MTU below 1280, for
// which the kernel has no IPv6, counts as off and not as missing.
func TestIPv6BelowItsLeastMTU(t *testing.T) {
	t.Parallel()
	for mtu, want := range map[int]map[IPv6Settings]error{
		68:   {{Mode: specs.IPv6Off}: nil},
		600:  {{Mode: specs.IPv6Off}: nil, {Mode: specs.IPv6Off, Static: true}: ErrUnsupported, {Mode: specs.IPv6SLAAC}: ErrUnsupported},
		1279: {{Mode: specs.IPv6Off}: nil, {Mode: specs.IPv6LinkLocal}: ErrUnsupported},
		1280: {{Mode: specs.IPv6Off}: nil, {Mode: specs.IPv6LinkLocal}: nil},
	} {
		s := newSite(t)
		link := s.macvlan("net1", mac(1))
		link.MTU = mtu
		if _, err := s.h.CreateLink(s.n, link); err != nil {
			t.Fatal(err)
		}
		for set, want := range want {
			if err := s.n.SetIPv6("net1", set); !errors.Is(err, want) {
				t.Errorf("MTU %d, %+v: %v, want %v", mtu, set, err, want)
			}
		}
	}
}

func readSysctl(t *testing.T, n *Namespace, path string) string {
	t.Helper()
	var text []byte
	err := n.Do(func() (err error) {
		text, err = os.ReadFile("/proc/sys/net/" + path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func setSysctl(t *testing.T, n *Namespace, path, value string) {
	t.Helper()
	if err := n.writeSysctls([]sysctl{{path, value}}); err != nil {
		t.Fatal(err)
	}
}
